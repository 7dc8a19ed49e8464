"""What other tools read: Prometheus' text, TensorBoard's event file."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from fedkeeper.observe import export_tensorboard
from fedkeeper.observe.cost import spent
from fedkeeper.observe.export_prometheus import text
from fedkeeper.observe.view import view_of
from tests.observe.ledgers import Script, plain_run, rough_run
from tests.observe.test_report_page import fabric

LABEL = r'[a-z_]+="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"(fedkeeper_[a-z_]+)\{{{LABEL}(?:,{LABEL})*\}} (\S+)")


def samples(content: str) -> dict[str, float]:
    """Checks the form: HELP, TYPE and then the samples of one metric at a time."""
    found, current = {}, ""
    for line in content.splitlines():
        if line.startswith("# HELP "):
            current = line.split()[2]
        elif line.startswith("# TYPE "):
            assert line == f"# TYPE {current} gauge"
        else:
            match = SAMPLE.fullmatch(line)
            assert match is not None, line
            assert match[1] == current
            found[line.rpartition(" ")[0]] = float(match[2])
    return found


def test_prometheus_figures() -> None:
    view = view_of(rough_run())
    found = samples(text(view, spent(view.activations, fabric())))
    run = 'run="demo-1"'
    assert found[f"fedkeeper_rounds{{{run}}}"] == 2
    assert found[f"fedkeeper_accuracy{{{run}}}"] == 0.95
    assert found[f'fedkeeper_activations{{{run},cluster="laptop",role="fl_client",state="failed"}}'] == 1
    assert found[f'fedkeeper_cost_dollars{{{run},cluster="edge",platform="aws"}}'] > 0
    assert found[f"fedkeeper_run_finished{{{run}}}"] == 1


def test_prometheus_labels_are_escaped_and_unknown_figures_left_out() -> None:
    content = text(view_of(Script(fabric='a"b\\c\nd').start(1, 1).events))
    assert 'fabric="a\\"b\\\\c\\nd"' in content
    assert not [name for name in samples(content) if "accuracy" in name]


def test_crc32c() -> None:
    """The check value of the Castagnoli polynomial."""
    masked = (export_tensorboard._masked(b"123456789") - 0xA282EAD8) & 0xFFFFFFFF
    assert (masked >> 17 | masked << 15) & 0xFFFFFFFF == 0xE3069283


def test_tensorboard_file_is_whole_and_written_again(tmp_path: Path) -> None:
    events = plain_run(3, 2)
    first = export_tensorboard.write(tmp_path, view_of(events), events)
    data = first.read_bytes()
    at, records = 0, 0
    while at < len(data):
        at += struct.unpack_from("<Q", data, at)[0] + 16
        records += 1
    assert (at, records) == (len(data), 1 + 3)
    assert export_tensorboard.write(tmp_path, view_of(events), events) == first
    assert first.read_bytes() == data


READER = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
found = EventAccumulator(sys.argv[1]).Reload()
print(json.dumps({tag: [[one.step, one.wall_time, one.value] for one in found.Scalars(tag)] for tag in found.Tags()["scalars"]}))
"""


def test_tensorboard_itself_reads_the_curves(tmp_path: Path) -> None:
    events = plain_run(300, 2)
    events[-1]["loss"] = 1e300
    file = export_tensorboard.write(tmp_path, view_of(events), events)
    done = subprocess.run([sys.executable, "-c", READER, str(file)], capture_output=True, text=True, check=True, timeout=60)
    curves = json.loads(done.stdout)
    assert [step for step, _, _ in curves["accuracy"]] == list(range(1, 301))
    assert curves["accuracy"][1][2] == pytest.approx(0.75)
    assert curves["seconds/train"][0][2] == pytest.approx(2.2, abs=0.2)
    assert curves["loss"][0][1] == pytest.approx(next(event["time"] for event in events if event["type"] == "evaluated"))
