"""tools/env.sh, the real script, with stand-ins for the programs it calls: Python, pip, apt-get, sudo and id.

Each stand-in writes its arguments to `calls`; the real Python and the real apt-get are exercised by `make env` itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.house.tree import ROOT

PYTHON = """#!/bin/sh
case "$*" in
    *"sys.exit("*) [ ! -e {fakes}/too-old ] ;;
    *"print("*) if [ -e {fakes}/too-old ]; then echo 3.9; else echo 3.11; fi ;;
    *"import ensurepip"*) [ ! -e {fakes}/no-venv ] ;;
    "-m venv"*) echo "venv" >>{fakes}/calls
        rm -rf .venv && mkdir -p .venv/bin && cp "$0" .venv/bin/python
        printf '#!/bin/sh\\necho "pip 1.0 from %s/.venv/lib/pip (python 3.11)"\\n' "$(pwd -P)" >.venv/bin/pip && chmod +x .venv/bin/pip ;;
    "-m pip install"*) echo "pip $*" >>{fakes}/calls; [ ! -e {fakes}/no-network ] ;;
    *) echo "unexpected: $*" >&2; exit 99 ;;
esac
"""
APT_GET = '#!/bin/sh\necho "apt-get $*" >>{fakes}/calls\ncase "$*" in *install*) rm {fakes}/no-venv ;; esac\n'
SUDO = '#!/bin/sh\n[ -e {fakes}/may-sudo ] || exit 1\necho "sudo $*" >>{fakes}/calls\n[ "$1" = -n ] || exec "$@"\n'
ID = "#!/bin/sh\nif [ -e {fakes}/as-root ]; then echo 0; else echo 1000; fi\n"
STAND_INS = {"python3": PYTHON, "apt-get": APT_GET, "sudo": SUDO, "id": ID}


class Machine:
    """A tree with env.sh in it, and a PATH whose first folder holds the stand-ins."""

    def __init__(self, home: Path) -> None:
        self.fakes = home / "fakes"
        self.tree = home / "tree"
        self.fakes.mkdir()
        (self.tree / "tools").mkdir(parents=True)
        shutil.copy(ROOT / "tools" / "env.sh", self.tree / "tools")
        for name in ("setup.cfg", "pyproject.toml"):
            (self.tree / name).write_text(f"{name}\n")
        self.lock_for("3.11")
        for name, text in STAND_INS.items():
            (self.fakes / name).write_text(text.replace("{fakes}", str(self.fakes)))
            (self.fakes / name).chmod(0o755)

    def lock_for(self, version: str) -> None:
        (self.tree / "requirements.lock").write_text(f"# python {version}\nnumpy==1\n")

    def is_(self, *facts: str) -> None:
        for fact in facts:
            (self.fakes / fact).touch()

    def is_not(self, fact: str) -> None:
        (self.fakes / fact).unlink()

    def env(self) -> subprocess.CompletedProcess[str]:
        settings = {name: value for name, value in os.environ.items() if name != "PYTHON"}
        settings["PATH"] = f"{self.fakes}:{settings['PATH']}"
        command = ["sh", str(self.tree / "tools" / "env.sh")]
        return subprocess.run(command, env=settings, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    def calls(self) -> list[str]:
        """What was called since the last look."""
        log = self.fakes / "calls"
        lines = log.read_text().splitlines() if log.exists() else []
        log.write_text("")
        return lines


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


PINNED = "pip -m pip install -qq -e .[dev] -c requirements.lock"
FREE = "pip -m pip install -qq -e .[dev]"


def test_a_fresh_tree_gets_everything_and_a_word_about_the_size(machine: Machine) -> None:
    done = machine.env()
    assert done.returncode == 0, done.stderr
    assert machine.calls() == ["venv", PINNED]
    assert "270 MB" in done.stdout


def test_a_second_call_does_nothing_and_says_nothing(machine: Machine) -> None:
    machine.env()
    machine.calls()
    done = machine.env()
    assert (done.returncode, done.stdout, done.stderr, machine.calls()) == (0, "", "", [])


@pytest.mark.parametrize("name", ["setup.cfg", "pyproject.toml", "requirements.lock"])
def test_a_changed_requirement_runs_pip_again_in_the_same_venv(machine: Machine, name: str) -> None:
    machine.env()
    machine.calls()
    with (machine.tree / name).open("a") as file:
        file.write("# new\n")
    assert machine.env().returncode == 0
    assert machine.calls() == [PINNED]


def test_a_half_made_environment_is_made_again(machine: Machine) -> None:
    machine.is_("no-network")
    done = machine.env()
    assert done.returncode == 1
    assert done.stderr.startswith("make env: pip failed")
    machine.is_not("no-network")
    machine.calls()
    assert machine.env().returncode == 0
    assert machine.calls() == ["venv", PINNED]


def test_a_moved_tree_gets_a_new_venv(machine: Machine, tmp_path: Path) -> None:
    """The scripts in a venv hold absolute paths."""
    machine.env()
    machine.calls()
    machine.tree = machine.tree.rename(tmp_path / "elsewhere")
    assert machine.env().returncode == 0
    assert machine.calls() == ["venv", PINNED]


def test_the_lock_is_for_its_own_python_only(machine: Machine) -> None:
    machine.lock_for("3.10")
    done = machine.env()
    assert machine.calls() == ["venv", FREE]
    assert "made on another Python" in done.stdout


def test_an_old_python_is_one_clear_line(machine: Machine) -> None:
    machine.is_("too-old")
    done = subprocess.run(
        ["sh", str(machine.tree / "tools" / "env.sh")],
        env=os.environ | {"PYTHON": str(machine.fakes / "python3")},
        capture_output=True,
        text=True,
        check=False,
    )
    line = "make env: FedKeeper needs Python 3.10 or newer, found 3.9; install one and run: make env PYTHON=python3.12\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


def test_root_gets_the_venv_module_installed(machine: Machine) -> None:
    machine.is_("no-venv", "as-root")
    assert machine.env().returncode == 0
    assert machine.calls() == ["apt-get -qq install -y python3-venv", "venv", PINNED]


def test_passwordless_sudo_is_used(machine: Machine) -> None:
    machine.is_("no-venv", "may-sudo")
    assert machine.env().returncode == 0
    assert "apt-get -qq install -y python3-venv" in machine.calls()


def test_anyone_else_is_told_the_line_to_run(machine: Machine) -> None:
    machine.is_("no-venv")
    done = machine.env()
    assert (done.returncode, machine.calls()) == (1, [])
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("sudo apt-get update && sudo apt-get install -y python3-venv\n")
