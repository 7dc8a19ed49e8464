"""Cuts the sample that FedKeeper ships out of the complete MNIST data set.

    mnist.npz --> shuffle --> first N of each class --> shuffle again --> mnist-sample.npz

    python tools/cut_sample.py mnist.npz fedkeeper/samples/mnist-sample.npz

A shuffle sorts by sha256 and uses no random generator, so every NumPy version cuts the same images in the same order.
The second one mends what the choice leaves behind: at the end of the first order only the rarer digits still have room.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

PER_CLASS = {"train": 600, "test": 100}
CLASSES = 10

Labels = npt.NDArray[np.uint8]


def shuffled(indices: Iterable[int], purpose: str) -> list[int]:
    """The same order everywhere, another one for another purpose."""
    return sorted(indices, key=lambda index: hashlib.sha256(f"{purpose}:{index}".encode()).digest())


def chosen(split: str, labels: Labels) -> list[int]:
    """Which images to keep: as many of each class, in no order."""
    room = dict.fromkeys(range(CLASSES), PER_CLASS[split])
    kept = []
    for index in shuffled(range(len(labels)), f"choose {split}"):
        label = int(labels[index])
        if room[label]:
            room[label] -= 1
            kept.append(index)
    return shuffled(kept, f"order {split}")


def cut(source: Path, target: Path) -> str:
    """Write the sample; returns its sha256. NumPy stamps every member with 1980-01-01, so the bytes are reproducible."""
    arrays = {}
    with np.load(source, allow_pickle=False) as full:
        for split in PER_CLASS:
            keep = chosen(split, full[f"y_{split}"])
            arrays[f"x_{split}"] = full[f"x_{split}"][keep].astype(np.uint8)
            arrays[f"y_{split}"] = full[f"y_{split}"][keep].astype(np.uint8)
    np.savez_compressed(target, **arrays)
    return hashlib.sha256(target.read_bytes()).hexdigest()


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        sys.stderr.write("usage: python tools/cut_sample.py MNIST.npz SAMPLE.npz\n")
        return 2
    source, target = map(Path, arguments)
    sys.stdout.write(f"sha256 {cut(source, target)}  {target} ({target.stat().st_size:,} bytes)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
