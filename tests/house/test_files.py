"""The files around the code: no path of a developer's machine, one version everywhere, verbs that are documented."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from fedkeeper.version import __version__
from tests.house.tree import ROOT, project_files

MACHINE_PATHS = tuple(f"/{folder}/".encode() for folder in ("work", "root"))


def test_no_file_names_a_developers_machine() -> None:
    files = project_files()
    assert Path("fedkeeper/version.py") in files
    assert [str(file) for file in files if any(path in (ROOT / file).read_bytes() for path in MACHINE_PATHS)] == []


def test_the_changelog_starts_with_this_version() -> None:
    versions = re.findall(r"^## \[?(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert versions[0] == __version__


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_make_alone_lists_every_target() -> None:
    listed = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, env=_plain(), capture_output=True, text=True, check=True)
    assert set(re.findall(r"^  make ([a-z-]+) ", listed.stdout, re.MULTILINE)) == make_targets()


def test_contributing_names_real_targets_only() -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"env", "test", "test-all"} <= named <= make_targets()


@pytest.mark.parametrize("script", [".ci/run", "tools/env.sh", "tools/demo.sh"])
def test_a_script_is_executable_and_parses(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    shell = (ROOT / script).read_text(encoding="utf-8").splitlines()[0].rsplit("/", 1)[1].split()[-1]
    subprocess.run([shell, "-n", str(ROOT / script)], check=True)


def _plain() -> dict[str, str]:
    """Without what an outer `make test` passes down."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
