"""The files of a run's folder: appended, followed, and made whole again."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fedkeeper.observe.folder import RunFolder
from tests.observe.ledgers import Script, names, plain_run, rough_run

FILES = ("run.log", "rounds.csv", "activations.csv", "clients.csv", "events.jsonl")


def write(folder: Path, *batches: list[dict[str, Any]]) -> dict[str, str]:
    """The files' texts after these batches and the end."""
    observer = RunFolder(folder)
    for batch in batches:
        observer.on_events(batch)  # type: ignore[arg-type]
        observer.on_tick("2 clients")
    observer.close()
    return {name: (folder / name).read_text() for name in FILES}


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_rounds_csv_is_this_text(tmp_path: Path) -> None:
    assert write(tmp_path, plain_run(2, 4))["rounds.csv"] == (
        "round,clients,succeeded,invoke_s,train_s,aggregate_s,evaluate_s,total_s,loss,accuracy\n"
        "1,4,4,0.3,2.1,0.4,0.6,2.8,0.5,0.5\n"
        "2,4,4,0.3,2.1,0.4,0.6,2.8,0.25,0.75\n"
    )


def test_activations_csv_has_one_line_per_attempt(tmp_path: Path) -> None:
    lines = rows(write(tmp_path, rough_run())["activations.csv"])
    assert [(r["client"], r["attempt"], r["state"]) for r in lines if r["round"] == "1" and r["client"] != "server"] == [
        ("c0", "1", "succeeded"), ("c1", "1", "failed"), ("c2", "1", "succeeded"), ("c1", "2", "succeeded"), ("c3", "1", "cancelled"),
    ]  # fmt: skip
    c0 = next(r for r in lines if r["client"] == "c0")
    assert c0["start"] == "2023-11-14T22:13:20.400Z"
    assert c0["end"] == "2023-11-14T22:13:22.400Z"
    assert (c0["duration_s"], c0["cold_start"], c0["cluster"], c0["function"]) == ("2", "true", "laptop", "demo-fl_client")


def test_clients_csv_has_the_clients_own_metrics(tmp_path: Path) -> None:
    text = write(tmp_path, plain_run(1, 2))["clients.csv"]
    assert text == "round,client,examples,loss,accuracy\n1,c0,600,0.5,0.5\n1,c1,600,0.5,0.5\n"


def test_a_metric_that_turns_up_later_gets_a_column_in_the_end(tmp_path: Path) -> None:
    script = Script().start(2, 1).open(1, names(2)).client(1, "c0").client(1, "c1").done(1, "c0", metrics={"loss": 0.5})
    first = list(script.events)
    script.done(1, "c1", metrics={"loss": 0.25, "f1": 0.75})
    text = write(tmp_path, first, script.events[len(first) :])["clients.csv"]
    assert text == "round,client,examples,loss,f1\n1,c0,600,0.5,\n1,c1,600,0.25,0.75\n"


def test_events_jsonl_holds_the_events_as_they_are(tmp_path: Path) -> None:
    lines = write(tmp_path, rough_run())["events.jsonl"].splitlines()
    assert [json.loads(line) for line in lines] == rough_run()


def test_lines_can_be_read_while_the_run_goes_on(tmp_path: Path) -> None:
    events = plain_run(2, 2)
    observer = RunFolder(tmp_path)
    cut = 1 + next(index for index, event in enumerate(events) if event["type"] == "evaluated")
    observer.on_events(events[:cut])  # type: ignore[arg-type]
    assert len(rows((tmp_path / "rounds.csv").read_text())) == 1
    assert len(rows((tmp_path / "activations.csv").read_text())) == 5
    assert "round 1/2 accuracy 0.5000" in (tmp_path / "run.log").read_text()
    observer.close()


def test_a_round_that_is_not_evaluated_waits_for_no_evaluation(tmp_path: Path) -> None:
    script = Script().start(1, 2)
    for round_ in (1, 2):
        script.open(round_, ["c0"]).client(round_, "c0").done(round_, "c0").close(round_, 1).commit(round_)
    observer = RunFolder(tmp_path)
    observer.on_events(script.events)  # type: ignore[arg-type]
    assert [r["round"] for r in rows((tmp_path / "rounds.csv").read_text())] == ["1"]
    observer.close()
    assert [r["round"] for r in rows((tmp_path / "rounds.csv").read_text())] == ["1", "2"]


def test_resume_makes_the_files_whole_again_without_doubled_lines(tmp_path: Path) -> None:
    events = rough_run()
    cut = next(index for index, event in enumerate(events) if event["type"] == "resumed")
    write(tmp_path, events[:3], events[3:cut])
    with (tmp_path / "rounds.csv").open("a") as file:
        file.write("torn li")  # the old orchestrator died in mid-line
    assert write(tmp_path, events[:cut], events[cut:]) == write(tmp_path / "fresh", events)


def test_an_interrupted_run_lists_the_activations_still_open(tmp_path: Path) -> None:
    script = (
        Script().start(2, 1).open(1, names(2)).client(1, "c0").client(1, "c1").add("interrupted", reason="signal", error=None)
    )
    files = write(tmp_path, script.events)
    assert [r["state"] for r in rows(files["activations.csv"])] == ["succeeded", "accepted", "accepted"]
    assert "interrupted by a signal; `fedkeeper resume` goes on from here" in files["run.log"]


def test_errors_from_outside_stay_on_one_line(tmp_path: Path) -> None:
    script = Script().start(1, 1).open(1, ["c0"]).client(1, "c0").failed(1, "c0", error='a "b", c\n\x1b[31md')
    files = write(tmp_path, script.events)
    assert rows(files["activations.csv"])[-1]["error"] == 'a "b", c [31md'
    assert "\x1b" not in files["run.log"]


def test_run_log_is_this_text(tmp_path: Path, golden: Callable[[Path, str], None]) -> None:
    golden(Path(__file__).parent / "golden" / "run.log", write(tmp_path, rough_run())["run.log"])


@given(cuts=st.lists(st.integers(0, 60), max_size=6))
def test_batches_do_not_matter(tmp_path_factory: Any, cuts: list[int]) -> None:
    folder, events = tmp_path_factory.mktemp("run"), rough_run()
    edges = [0, *sorted(min(cut, len(events)) for cut in cuts), len(events)]
    batches = [events[begin:end] for begin, end in pairwise(edges)]
    assert write(folder / "cut", *batches) == write(folder / "whole", events)


def test_ten_thousand_clients(tmp_path: Path) -> None:
    clients = names(10_000)
    script = Script().start(10_000, 1)
    script.whole_round(1, clients, 0.5)
    observer = RunFolder(tmp_path)
    for begin in range(0, len(script.events), 100):
        observer.on_events(script.events[begin : begin + 100])  # type: ignore[arg-type]
    observer.close()
    assert len((tmp_path / "activations.csv").read_text().splitlines()) == 1 + 1 + 10_000 + 2
