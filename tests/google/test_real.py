"""The adapter over the emulator's other runtime: functions-framework itself, as child processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedkeeper.errors import ActivationFailed
from fedkeeper.testing.emulated import emulated
from tests.google.bench import ECHO, FAIL, Bench, make_spec


def test_functions_run_under_googles_own_runtime(tmp_path: Path) -> None:
    with emulated(tmp_path / "emulator", runtime="real", workers=1) as emulator:
        bench = Bench(emulator, tmp_path)
        provider = bench.open()
        provider.create(*make_spec("echo", ECHO))
        body = bytes(range(256)) * 4096
        reply = provider.call("echo", {"a": "ä"}, body, 30)
        assert (reply.result, reply.body) == ({"echo": {"a": "ä"}}, body[::-1])
        provider.create(*make_spec("fail", FAIL))
        with pytest.raises(ActivationFailed, match="this client has no data"):
            provider.call("fail", {}, timeout_s=30)
        bench.close()
