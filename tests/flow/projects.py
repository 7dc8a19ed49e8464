"""Whole projects on disk for whole runs: one YAML file with the NumPy task, driven through the API or the real command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

STORE: str | None = None
"""Where projects keep their runs; None: the file store beside them. Set by the tests' own fixture."""
SOFTMAX = Path(__file__).parents[2] / "examples" / "numpy" / "tasks" / "softmax.py"


def spec(name: str = "tiny", *, clients: int = 6, weights: str = "store", workers: int = 2, **training: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "name": name,
        **({"store": STORE} if STORE else {}),
        "providers": {"local": {"here": {"workers": workers}}},
        "scenarios": {
            "federated_learning": {
                "server": {"cluster": "here"},
                "clients": {"groups": [{"name": "c", "cluster": "here", "count": clients, "weights": weights}]},
                "data": {"dataset": "mnist-sample", "partition": "iid"},
                "training": {
                    "task": "tasks/softmax.py", "rounds": 3, "learning_rate": 0.1, "seed": 5, "backoff": "50ms", **training,
                },
            }
        },
    }  # fmt: skip


def make_project(folder: Path, text: dict[str, Any] | None = None, task: str | None = None) -> Path:
    """A project folder; returns its config.yaml."""
    (folder / "tasks").mkdir(parents=True, exist_ok=True)
    if task is None:
        shutil.copy(SOFTMAX, folder / "tasks" / "softmax.py")
    else:
        (folder / "tasks" / "softmax.py").write_text(task)
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(text or spec(), sort_keys=False))
    return config


def slow_task(seconds: float) -> str:
    """The NumPy task, but every client takes a while: something to interrupt."""
    source = SOFTMAX.read_text()
    return source.replace(
        "    for _ in range(config.epochs):", f"    import time\n    time.sleep({seconds})\n    for _ in range(config.epochs):"
    )


def command(
    *arguments: str, python_path: Path | None = None, extra: Mapping[str, str] | None = None
) -> tuple[list[str], dict[str, str]]:
    environ = {**os.environ, **({"PYTHONPATH": str(python_path)} if python_path else {}), **(extra or {})}
    return [sys.executable, "-m", "fedkeeper", *arguments], environ


def run_command(
    folder: Path,
    *arguments: str,
    check: bool = True,
    python_path: Path | None = None,
    extra: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    line, environ = command(*arguments, python_path=python_path, extra=extra)
    done = subprocess.run(line, cwd=folder, env=environ, capture_output=True, text=True, timeout=300, check=False)
    if check:
        assert done.returncode == 0, f"{' '.join(arguments)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def begin_command(folder: Path, *arguments: str, extra: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """In the background; what it prints goes to out.txt and err.txt in the folder."""
    line, environ = command(*arguments, extra=extra)
    with (folder / "out.txt").open("w") as out, (folder / "err.txt").open("w") as err:
        return subprocess.Popen(line, cwd=folder, env=environ, stdout=out, stderr=err, text=True)


def result_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The one JSON object on stdout."""
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def ledger_of(folder: Path) -> list[dict[str, Any]]:
    """The events of the newest run, as its folder has them."""
    logs = sorted((folder / "logs").glob("*/events.jsonl"))
    return [json.loads(line) for line in logs[-1].read_text().splitlines() if line.endswith("}")] if logs else []
