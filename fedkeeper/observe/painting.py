"""The process that draws (see painter.py): loads matplotlib, waits for its one request, draws both pictures at once.

standard input: {"folder": ..., "view": RunView.to_json()} --fork--> accuracy.png | time.png
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from fedkeeper.model import Json
from fedkeeper.observe import plots
from fedkeeper.observe.rows import Counts, RoundRow, RunView


def main() -> None:
    loaded = plots.load_early()
    line = sys.stdin.readline()
    if not line:
        return
    request = json.loads(line)
    folder, view = Path(request["folder"]), view_from(request["view"])
    if not loaded:
        plots.draw(folder, view)  # says what is missing
        return
    accuracy = multiprocessing.get_context("fork").Process(target=plots.draw, args=(folder, view, [plots.ACCURACY]))
    accuracy.start()
    plots.draw(folder, view, [plots.TIME])
    accuracy.join()
    sys.stderr.flush()
    os._exit(0)  # somebody waits: taking matplotlib apart would only take time


def view_from(data: Mapping[str, Json]) -> RunView:
    """Inverse of `RunView.to_json`, which leaves activations and clients out."""
    rounds = tuple(RoundRow(**row) for row in data["rounds"])
    return RunView(**{**data, "counts": Counts(**data["counts"]), "rounds": rounds, "activations": (), "clients": ()})


if __name__ == "__main__":
    main()
