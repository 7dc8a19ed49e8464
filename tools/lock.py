"""Writes requirements.lock: the newest versions that fit setup.cfg on this Python, resolved afresh, nothing installed.

    setup.cfg [dev] --> pip's resolver, dry run --> report --> name==version, one a line

What else the environment holds, and which versions, plays no part. `make env` takes the lock into account from its next call on.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
HEAD = """\
# The versions FedKeeper is developed and tested with, used by `make env` on the same Python only. `make lock` writes this file.
# python {}.{}
"""


def resolve() -> list[dict[str, str]]:
    """Name and version of everything `.[dev]` needs, FedKeeper itself left out."""
    command = [sys.executable, "-m", "pip", "install", "-qq", "--dry-run", "--ignore-installed", "--report", "-", "-e", ".[dev]"]
    report = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    found = [item["metadata"] for item in report["install"]]
    return [{"name": each["name"], "version": each["version"]} for each in found if each["name"] != "fedkeeper"]


def render(packages: list[dict[str, str]]) -> str:
    lines = sorted((f"{package['name']}=={package['version']}\n" for package in packages), key=str.lower)
    return HEAD.format(*sys.version_info[:2]) + "".join(lines)


if __name__ == "__main__":
    LOCK.write_text(render(resolve()), encoding="utf-8")
