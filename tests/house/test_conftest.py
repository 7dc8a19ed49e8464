"""The guards of tests/conftest.py do guard."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import NetworkForbidden
from tests.house.tree import ROOT

ELSEWHERE = "192.0.2.1"  # TEST-NET-1: nobody's address


def test_another_machine_is_out_of_reach() -> None:
    with pytest.raises(NetworkForbidden, match=ELSEWHERE):
        socket.create_connection((ELSEWHERE, 80), timeout=1)


def test_a_name_is_not_looked_up() -> None:
    with pytest.raises(NetworkForbidden, match=r"example\.org"):
        socket.getaddrinfo("example.org", 80)


def test_a_datagram_is_not_sent() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, pytest.raises(NetworkForbidden):
        sender.sendto(b"hello", (ELSEWHERE, 9))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_is_open(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection((host, server.getsockname()[1]), timeout=5):
        pass


def test_home_is_empty_and_settings_are_gone() -> None:
    assert list(Path.home().iterdir()) == []
    assert [name for name in os.environ if name.startswith("FEDKEEPER_")] == []


@pytest.fixture
def inner(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs pytest on one small test under our conftest, with a setting that must not get through."""
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_inner.py").write_text(
        "import os\nfrom pathlib import Path\n\n"
        "def test_it(golden):\n"
        "    assert 'FEDKEEPER_HOME' not in os.environ\n"
        "    golden(Path(__file__).parent / 'golden' / 'it.txt', 'text\\n')\n"
    )

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *options]
        settings = os.environ | {"FEDKEEPER_HOME": "/nowhere"}
        return subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True, check=False)

    return run


def test_golden_files_are_compared_and_written_only_when_told(
    inner: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    missing = inner()
    assert missing.returncode == 1
    assert "--update-golden" in missing.stdout

    assert inner("--update-golden").returncode == 0
    assert (tmp_path / "golden" / "it.txt").read_text() == "text\n"
    assert inner().returncode == 0

    (tmp_path / "golden" / "it.txt").write_text("another\n")
    assert inner().returncode == 1
    assert (tmp_path / "golden" / "it.txt").read_text() == "another\n"
