"""Flower's aggregation of safetensors files of float32, loading included. Prints one JSON object.

    python flower_aggregation.py FILE...        in the environment `flower`

Today's FedAvg hands the clients' records to `aggregate_arrayrecords`; they are in memory by then, so loading belongs to it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
from flwr.app import ArrayRecord, MetricRecord, RecordDict  # type: ignore[import-not-found]
from flwr.serverapp.strategy.strategy_utils import aggregate_arrayrecords  # type: ignore[import-not-found]


def main() -> None:
    begun, cpu = time.perf_counter(), time.process_time()
    records = [
        RecordDict({"arrays": ArrayRecord(load(path)), "metrics": MetricRecord({"num-examples": 500 + 10 * (n % 7)})})
        for n, path in enumerate(sys.argv[1:])
    ]
    aggregate_arrayrecords(records, "num-examples")
    seconds, cpu_s = time.perf_counter() - begun, time.process_time() - cpu
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024 / 1e6
    print(json.dumps({"seconds": seconds, "cpu_s": cpu_s, "peak_mb": peak, "count": len(records)}))


def load(path: str) -> list[Any]:
    """One read per array, into memory of its own."""
    with open(path, "rb") as file:
        head = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(head))
        return [np.fromfile(file, np.float32, (end - start) // 4) for start, end in (e["data_offsets"] for e in header.values())]


if __name__ == "__main__":
    main()
