"""Pictures for the README, taken from a real run in a real terminal: the screen in the middle of a run, the result, and the plots.

pty <- fedkeeper start ; bytes -> pyte's screen -> rich -> docs/images/*.svg

.venv/bin/python tools/picture.py        (about a minute; needs pyte, which the `dev` extra brings)
"""

from __future__ import annotations

import os
import pty
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from fcntl import ioctl
from pathlib import Path

import pyte
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
COLUMNS, LINES = 104, 34
MIDDLE_ROUND = "round 3/"  # the first picture is taken a moment after this appears


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "digits"
        folder.mkdir()
        for verb in ("init", "deploy"):
            subprocess.run([sys.executable, "-m", "fedkeeper", verb], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        middle, end = watch(folder)
        save(middle, IMAGES / "running.svg", "fedkeeper start")
        save(end, IMAGES / "result.svg", "fedkeeper start")
        run = next((folder / "logs").iterdir())
        for plot in ("accuracy.png", "time.png"):
            shutil.copy(run / plot, IMAGES / plot)


def watch(folder: Path) -> tuple[pyte.Screen, pyte.Screen]:
    """Run `fedkeeper start` in a terminal; its screen in the middle, and at the end."""
    screen, middle = pyte.Screen(COLUMNS, LINES), None
    stream = pyte.ByteStream(screen)
    child, descriptor = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        os.execv(sys.executable, [sys.executable, "-m", "fedkeeper", "start"])
    ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    seen_at = None
    while True:
        try:
            data = os.read(descriptor, 65536)
        except OSError:
            break
        stream.feed(data)
        if seen_at is None and any(MIDDLE_ROUND in line for line in screen.display):
            seen_at = time.monotonic()
        if middle is None and seen_at is not None and time.monotonic() - seen_at > 1.5:
            middle = snapshot(screen)
    os.waitpid(child, 0)
    return middle or snapshot(screen), snapshot(screen)


def snapshot(screen: pyte.Screen) -> pyte.Screen:
    """A copy that no longer changes."""
    copy = pyte.Screen(COLUMNS, LINES)
    for row in range(LINES):
        for column in range(COLUMNS):
            copy.buffer[row][column] = screen.buffer[row][column]
    return copy


def save(screen: pyte.Screen, target: Path, title: str) -> None:
    lines = [line_of(screen, row) for row in range(LINES)]
    while lines and not lines[-1].plain.strip():
        lines.pop()
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor")
        for line in lines:
            console.print(line, no_wrap=True, overflow="crop")
        console.save_svg(str(target), title=title)


def line_of(screen: pyte.Screen, row: int) -> Text:
    text = Text()
    for column in range(COLUMNS):
        cell = screen.buffer[row][column]
        style = " ".join(
            [
                *(["bold"] if cell.bold else []),
                *(["reverse"] if cell.reverse else []),
                *([colour(cell.fg)] if cell.fg != "default" else []),
            ]
        )
        text.append(cell.data, style=style or None)
    return text


def colour(name: str) -> str:
    """pyte's colour as rich's."""
    if len(name) == 6 and all(digit in "0123456789abcdef" for digit in name.lower()):
        return f"#{name}"
    return {"brown": "yellow"}.get(name, name.replace("bright", "bright_") if name.startswith("bright") else name)


if __name__ == "__main__":
    main()
