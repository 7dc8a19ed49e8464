"""What the pages show is run: the commands in console blocks, the YAML, the Python."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fedkeeper
from fedkeeper.api import Fabric
from tests.flow.projects import run_command

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """The lines after `$ `, comments cut off, split at `&&`."""
    lines = [line[2:].split("#")[0] for block in blocks(page, "console") for line in block.splitlines() if line.startswith("$ ")]
    return [shlex.split(part) for line in lines for part in line.split("&&")]


def play(page: Path, folder: Path) -> list[str]:
    """Run a page's fedkeeper commands as a reader would, following `cd` and `eval`; returns the verbs."""
    verbs = []
    variables: dict[str, str] = {}
    for words in commands(page):
        if words[0] == "cd":
            folder = folder / words[1]
        elif words[0] == "eval":
            printed = run_command(folder, *words[1].removeprefix("$(fedkeeper ").removesuffix(")").split()).stdout
            exports = [shlex.split(line)[1] for line in printed.splitlines()]
            variables |= dict(export.split("=", 1) for export in exports)
        elif words[0] == "fedkeeper":
            run_command(folder, *words[1:], extra=variables)
            verbs.append(words[1])
    return verbs


def test_the_example_without_tensorflow_runs_as_its_page_says(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    assert play(ROOT / "docs" / "tasks.md", tmp_path) == ["deploy", "start", "remove"]
    assert list((tmp_path / "examples" / "numpy" / "logs").glob("*/model.safetensors"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_readme_runs_as_it_says(tmp_path: Path) -> None:
    assert play(ROOT / "README.md", tmp_path) == ["init", "check", "deploy", "start", "remove"]
    assert list((tmp_path / "digits" / "logs").glob("*/model.keras"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_mixed_fabric_runs_as_its_page_says(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    try:
        verbs = play(ROOT / "docs" / "emulator.md", tmp_path)
    finally:
        run_command(tmp_path / "examples", "emulate", "down", "-c", "mixed-fabric.yaml")
    assert verbs == ["emulate", "deploy", "start", "remove", "emulate"]


def test_every_shown_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = {words[1] for page in PAGES for words in commands(page) if words[0] == "make"}
    assert {"demo", "test"} <= shown <= targets


def test_every_shown_verb_exists() -> None:
    shown = {verb for page in PAGES for verb in re.findall(r"`(?:\$ )?fedkeeper ([a-z]+)", page.read_text())}
    listed = subprocess.run([sys.executable, "-m", "fedkeeper", "--help"], capture_output=True, text=True, check=True).stdout
    assert shown <= set(re.findall(r"^  ([a-z]+) ", listed, re.MULTILINE))


def test_the_specs_in_the_readme_and_the_examples_are_valid(tmp_path: Path) -> None:
    for number, block in enumerate(blocks(ROOT / "README.md", "yaml")):
        file = tmp_path / f"{number}.yaml"
        file.write_text(block)
        Fabric.load(file)
    for example in sorted(ROOT.glob("examples/*/config.yaml")):
        Fabric.load(example)


def test_the_notebook_lines_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "examples" / "numpy", tmp_path / "p")
    monkeypatch.chdir(tmp_path / "p")
    [block] = blocks(ROOT / "README.md", "python")
    names: dict[str, object] = {}
    exec(compile(block, "README.md", "exec"), names)
    run = names["run"]
    assert isinstance(run, fedkeeper.Run)
    assert len(run.table) == run.rounds
    names["fabric"].remove()  # type: ignore[attr-defined]


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_starter_task_is_the_example() -> None:
    example = ROOT / "examples" / "numpy" / "tasks" / "softmax.py"
    assert (ROOT / "fedkeeper" / "samples" / "tasks" / "softmax.py").read_text() == example.read_text()
