"""The pictures, drawn by a process of its own: loading matplotlib takes longer than ending a run may take.

    begin() --starts--> python -m fedkeeper.observe.painting     loads matplotlib while the run goes on
    draw(folder, view) --one line of JSON--> it draws            while the run's other results are written
    leaving the context: waits for the pictures; without `draw`, the process ends with its standard input

What it has to say (matplotlib is not installed) goes to standard error in the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from fedkeeper.observe.rows import RunView

_LIMIT_S = 60.0  # the first time on a slow machine, matplotlib also makes its list of fonts


class Painter:
    """Use as a context manager, around everything else that ends with the run. Never raises: no picture is worth a run."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Painter:
        return self

    def begin(self) -> None:
        """Start loading. `draw` does it too: beginning early only saves time."""
        if self._process is not None:
            return
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "fedkeeper.observe.painting"],
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # it forks, so no other thread may run in it
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,  # Ctrl-C at the terminal is for the orchestrator
            )

    def draw(self, folder: Path, view: RunView) -> None:
        """Have the run's pictures drawn; they are there when the context has been left."""
        self.begin()
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):  # it has died; it may have said why
                self._process.stdin.write(json.dumps({"folder": str(folder), "view": view.to_json()}) + "\n")
                self._process.stdin.flush()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if error is not None:
            process.kill()
        try:
            _, said = process.communicate(timeout=_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            _, said = process.communicate()
        if error is None:
            sys.stderr.write(said)
