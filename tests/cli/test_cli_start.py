"""Processes: what starts fast, what stays unimported, and what a whole process does when it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fedkeeper.cli import reference
from fedkeeper.cli.main import VERBS, cli
from fedkeeper.version import __version__

DOCS = Path(__file__).parents[2] / "docs"
_PROBE = """
import sys
before = set(sys.modules)
sys.argv = ["fedkeeper", *sys.argv[1:]]
from fedkeeper.cli.main import main
try:
    main()
except SystemExit as exc:
    assert not exc.code, exc.code
tops = {name.partition(".")[0] for name in set(sys.modules) - before}
print("\\n" + " ".join(sorted(tops - set(sys.stdlib_module_names))))
"""


def process(*words: str, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environ}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, cwd=cwd, env=env)


@pytest.mark.parametrize("words", [["--help"], ["--version"], [], ["start", "--help"], ["deploy", "--help"], ["logs", "--help"]])
def test_help_imports_click_and_nothing_else(words: list[str]) -> None:
    done = process("-c", _PROBE, *words)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.splitlines()[-1].split()) <= {"click", "fedkeeper"}


def test_listing_the_verbs_imports_none_of_them() -> None:
    probe = _PROBE.replace("tops = ", "loaded = [n for n in sys.modules if n.startswith('fedkeeper.')]\ntops = ").replace(
        'print("\\n" + ', 'print("\\n" + " ".join(sorted(loaded)) if True else '
    )
    loaded = set(process("-c", probe, "--help").stdout.splitlines()[-1].split())
    assert "fedkeeper.cli.main" in loaded
    assert not loaded & {verb.target.partition(":")[0] for verb in VERBS.values()}


def test_python_dash_m() -> None:
    assert process("-m", "fedkeeper", "--version").stdout == f"fedkeeper {__version__}\n"


def test_every_verb_exists_and_its_summary_is_the_one_listed() -> None:
    for name, verb in VERBS.items():
        command = cli.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        assert (command.name, command.short_help) == (name, verb.summary)


def test_cli_md_is_up_to_date() -> None:
    text = (DOCS / "cli.md").read_text()
    assert text == reference.markdown(), "run: python -m fedkeeper.cli.reference > docs/cli.md"


def test_a_missing_spec_says_how_to_get_one(tmp_path: Path) -> None:
    done = process("-m", "fedkeeper", "start", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr == (
        "error: config.yaml: there is no such file\nhint: `fedkeeper init` writes one to start from; -c names another file\n"
    )


def test_a_reader_that_goes_away_is_no_error() -> None:
    """The pipe is closed before the first byte is written."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run([sys.executable, "-m", "fedkeeper", "schema"], stdout=write, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_init_writes_a_project_that_is_valid(tmp_path: Path) -> None:
    assert process("-m", "fedkeeper", "init", cwd=tmp_path).returncode == 0
    done = process("-m", "fedkeeper", "check", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["valid"] is True
    assert (tmp_path / "README.md").read_text().startswith("# A federated learning project")


@pytest.mark.parametrize("shell", ["zsh", "fish", "bash"])
def test_completion_scripts_name_the_program(shell: str) -> None:
    done = process("-m", "fedkeeper", "completion", shell)
    assert done.returncode == 0
    assert "_FEDKEEPER_COMPLETE" in done.stdout


def test_completion_completes_verbs_and_options() -> None:
    shell = {"_FEDKEEPER_COMPLETE": "zsh_complete", "COMP_CWORD": "1"}
    assert "start" in process("-m", "fedkeeper", COMP_WORDS="fedkeeper sta", **shell).stdout.split()
    assert (
        "--rounds" in process("-m", "fedkeeper", COMP_WORDS="fedkeeper start --ro", **{**shell, "COMP_CWORD": "2"}).stdout.split()
    )
