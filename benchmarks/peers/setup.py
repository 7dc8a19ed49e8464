"""The peers' own environments in .bench/venv, made on first use from the pinned requirements beside this file.

python benchmarks/peers/setup.py            make them all: some minutes and 3 GB
python_of("flower")                         the interpreter of one, made when it is not there

flower              Flower's simulation on ray, NumPy, no TensorFlow (Flower imports it into every process where it finds it)
flower-tensorflow   the same with TensorFlow
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE.parents[1] / ".bench" / "venv"
NAMES = ("flower", "flower-tensorflow")


def python_of(name: str) -> Path:
    """The stamp is written last and holds the requirements: an interrupted or outdated environment is made again."""
    folder = ENVIRONMENTS / name
    wanted = (HERE / f"{name}.txt").read_text(encoding="utf-8")
    stamp = folder / "requirements.txt"
    python = folder / "bin" / "python"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"# installing {name} into {folder} (once, some minutes)", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        command = [str(python), "-m", "pip", "install", "-q", "-r", str(HERE / f"{name}.txt")]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"pip could not install {name}:\n{done.stderr[-3000:]}")
        stamp.write_text(wanted, encoding="utf-8")
    return python


if __name__ == "__main__":
    for environment in NAMES:
        print(python_of(environment))
