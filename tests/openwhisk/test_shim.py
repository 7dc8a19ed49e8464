"""The shim under OpenWhisk's /init and /run contract, in processes of their own, and by itself."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from fedkeeper.errors import ActivationFailed
from fedkeeper.providers.envelope import seal_json, unseal_json
from fedkeeper.providers.openwhisk import shim
from fedkeeper.testing.emulated import emulated
from tests.openwhisk.bench import ECHO, make_package, make_spec, provider_of

RUN = "import json, sys\nfrom main__ import main\nfor line in sys.stdin:\n    print(json.dumps(main(json.loads(line))), flush=True)\n"


def play(folder: Path, handler: str, *requests: Any) -> tuple[list[Any], str]:
    """As the runtime's launcher: `__main__.py` is imported as main__, and called once per line."""
    zipfile.ZipFile(io.BytesIO(make_package(handler))).extractall(folder)
    (folder / "__main__.py").rename(folder / "main__.py")
    (folder / "exec__.py").write_text(RUN)
    text = "".join(f"{json.dumps(request)}\n" for request in requests)
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(folder)!r}); exec(open('exec__.py').read())"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=folder, timeout=20, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_the_launcher_gets_sealed_answers(tmp_path: Path) -> None:
    answers, _ = play(tmp_path, ECHO, seal_json({"a": 1}, b"abc"), seal_json({}, b""), {"name": "Ada"})
    assert unseal_json(answers[0]) == ({"echo": {"a": 1}}, b"cba")
    assert answers[1] == {"params": {"echo": {}}}
    assert answers[2] == {"echo": {"name": "Ada"}}


def test_variables_are_there_before_the_handler_is_imported(tmp_path: Path) -> None:
    handler = "import os\nSEEN = os.environ['SECRET']\n\ndef handle(params, body):\n    return {'seen': SEEN, 'keys': sorted(params)}, b''\n"
    answers, _ = play(tmp_path, handler, {**seal_json({"a": 1}), shim.ENVIRONMENT: {"SECRET": "s"}})
    assert answers[0]["params"] == {"seen": "s", "keys": ["a"]}


@pytest.mark.parametrize(
    ("handler", "text"),
    [
        ("def handle(params, body):\n    raise ValueError('no\\ndata')\n", "ValueError: no data"),
        ("def handle(params, body):\n    return 7\n", "TypeError: handler.handle must return (result, bytes), not int"),
        ("def handle(params, body):\n    return {1, 2}, b''\n", "TypeError: Object of type set is not JSON serializable"),
        (
            "import numpy_of_another_world\n",
            "ModuleNotFoundError: No module named 'numpy_of_another_world'; the action's runtime",
        ),
    ],
)
def test_what_goes_wrong_is_one_line(tmp_path: Path, handler: str, text: str) -> None:
    answers, log = play(tmp_path, handler, seal_json({}), seal_json({}))
    assert [answer["error"].startswith(text) for answer in answers] == [True, True]
    assert "Traceback" in log


def test_under_the_documented_init_and_run(tmp_path: Path) -> None:
    with emulated(tmp_path, runtime="real") as emulator:
        provider = provider_of(emulator)
        provider.create(*make_spec("f", ECHO))
        assert provider.call("f", {"k": "v"}, b"123", 20).body == b"321"
        assert provider.call("f", {"k": "w"}, b"", 20).result == {"echo": {"k": "w"}}
        provider.create(*make_spec("bad", "def handle(params, body):\n    raise ValueError('no data')\n"))
        with pytest.raises(ActivationFailed, match="bad: ValueError: no data"):
            provider.call("bad", {}, timeout_s=20)
        provider.close()
