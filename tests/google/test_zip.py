"""What of the adapter travels: the shim in every zip, the caller in an invoker's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fedkeeper.deploy.closure import closure
from tests.google.bench import files_of


def test_the_caller_travels_light(tmp_path: Path) -> None:
    """It imports with neither the SDK nor pydantic: an invoker has requests and google-auth."""
    files = closure([], ["fedkeeper.providers.google.caller"])
    assert "fedkeeper/providers/google/client.py" not in files
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    program = (
        "import sys; sys.modules.update({name: None for name in ('pydantic', 'numpy', 'google.cloud', 'google.api_core', 'grpc')})\n"
        "from fedkeeper.providers.google.caller import GoogleCaller\n"
        "made = GoogleCaller({'project': 'p'}, {})\n"
        "print(made.config.url('f'), 'google.auth' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "https://us-central1-p.cloudfunctions.net/f False\n", done.stderr


def test_the_shim_brings_the_envelope_and_no_adapter() -> None:
    names = set(files_of("def handle(params, body):\n    return None, b''\n"))
    assert "fedkeeper/providers/envelope.py" in names
    assert not [name for name in names if name.startswith("fedkeeper/providers/google/c")]
