"""The tree as these tests see it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def project_files() -> list[Path]:
    """Every file git tracks or would track, relative to the root; a deleted one that is not yet committed is left out."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return [Path(name) for name in sorted(set(names)) if name and (ROOT / name).is_file()]


def copy_tree(target: Path, *, only: tuple[str, ...] = ()) -> Path:
    """A clean checkout: the project's files (or those under `only`) and nothing that was built or cached."""
    for name in project_files():
        if not only or name.parts[0] in only:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return target
