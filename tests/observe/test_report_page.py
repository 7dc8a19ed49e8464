"""The report says what the ledger says, cuts nothing silently, and lets nothing from outside become markup."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from fedkeeper import model
from fedkeeper.model import Role
from fedkeeper.observe.report.page import page, story_of
from tests.observe.ledgers import START, Script, names, plain_run, rough_run

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&\u202e\ud800\x1b[31m"


class Reader(HTMLParser):
    """The page's elements and words; every element that is opened must be closed again."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def bars(self, kind: str) -> int:
        return sum(tag == "i" and kind in (attrs.get("class") or "").split() and "title" in attrs for tag, attrs in self.tags)


def read(events: Iterable[Mapping[str, Any]], fabric: model.Fabric | None = None) -> Reader:
    story = story_of(events)
    return Reader(page(story.view(), story, fabric))


def fabric(clients: Iterable[str] = names(4), kind: str = "aws") -> model.Fabric:
    clusters = {"laptop": model.Cluster("laptop", "local"), "edge": model.Cluster("edge", kind)}
    owners = tuple(model.Client(name, index, "laptop" if index < 2 else "edge", "all") for index, name in enumerate(clients))
    functions = {role: model.FunctionConfig() for role in Role}
    return model.Fabric("demo", Path("x"), "memory:", clusters, "laptop", owners, functions, model.Data("d"), model.Training("t"))


def test_a_calm_run() -> None:
    found = read(plain_run(), fabric())
    assert "finished: all rounds done" in found.text
    assert "19 activations for 4 clients: every one of them succeeded at the first attempt." in found.text
    assert (found.bars("succeeded"), found.bars("failed"), found.bars("cold")) == (19, 0, 4)
    for absent in ("Failures and retries", "Not counted"):
        assert absent not in found.text


def test_a_rough_run_is_told_whole() -> None:
    found = read(rough_run(), fabric())
    assert "1 failed, 1 retry, the work of 1 client was not counted, a new orchestrator went on 1 time." in found.text
    assert "failed out of memory at line 3 laptop 1 1 1" in found.text
    assert "nobody was at work for 60.0 s" in found.text
    assert "client c3 is slow" in found.text
    assert "1 c3 the quorum was reached 1" in found.text
    assert "1 attempt had been given up and delivered a result after all" in found.text
    assert "List prices of 2024" in found.text
    assert (found.bars("failed"), found.bars("cancelled")) == (1, 1)


def test_a_pause_is_taken_out_of_the_pictures() -> None:
    longest = max(float(part) for part in re.findall(r"Round 1\s+\d+ activations, ([\d.]+) s", read(rough_run()).text))
    assert longest < 10  # and not the minute in which nobody was at work


@pytest.mark.parametrize("length", [1, 5, 14, 20])
def test_an_unfinished_run(length: int) -> None:
    found = read(rough_run()[:length], fabric())
    assert "unfinished" in found.text
    assert "has not finished" in found.text


def test_an_empty_ledger() -> None:
    assert "0 events" in read([]).text


def test_what_is_under_way_is_shown() -> None:
    script = Script().start(1, 1).open(1, ["c0"]).client(1, "c0").wait(5).add("warning", message="still there")
    assert read(script.events).bars("open") == 1


def test_nothing_from_outside_becomes_markup() -> None:
    script = Script(fabric=HOSTILE).start(2, 1, run=HOSTILE).open(1, [HOSTILE, "c1"])
    script.client(1, HOSTILE, cluster=HOSTILE).wait(1).failed(1, HOSTILE, error=HOSTILE, state="lost").client(1, HOSTILE, 2)
    script.wait(1).done(1, HOSTILE, 2).add("warning", message=HOSTILE).add("recreated", function=HOSTILE, cluster=HOSTILE)
    script.close(1, 1, [HOSTILE], HOSTILE).commit(1).evaluate(1, 0.5, 0.5).finish(1, 0.5, HOSTILE)
    found = read(script.events, fabric([HOSTILE, "c1"]))
    assert {tag for tag, _ in found.tags} & {"script", "img", "a", "link", "iframe"} == set()
    assert not [attrs for _, attrs in found.tags if any(name.startswith("on") for name in attrs)]
    assert "<script>alert(1)</script>" in found.text
    assert not set(found.text) & set("\u202e\ud800\x1b")


def test_the_page_may_neither_run_nor_load_anything() -> None:
    story = story_of(rough_run())
    text = page(story.view(), story, fabric())
    policies = [attrs["content"] for tag, attrs in Reader(text).tags if "http-equiv" in attrs]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert not re.search(r"(src|href)=|url\(|@import", text)


def test_unknown_events_are_counted_not_dropped() -> None:
    script = Script().start(1, 1).add("quarantined", client="c0").add("quarantined", client="c1")
    assert "2 events of the type quarantined" in read(script.events).text


def test_causes_differ_in_more_than_numbers() -> None:
    script = Script().start(9, 1).open(1, names(9))
    for index, client in enumerate(names(9)):
        script.client(1, client).failed(
            1, client, error=f"killed by signal {index % 3} after {index} s" if index < 8 else "no room"
        )
    text = read(script.events).text
    assert "killed by signal 0 after 0 s laptop 8 8 1" in text
    assert "no room laptop 1 1 1" in text


def test_ten_thousand_clients_are_sampled_and_the_page_says_so() -> None:
    clients = names(10_000)
    script = Script().start(10_000, 1).open(1, clients)
    for client in clients:
        script.client(1, client)
    script.wait(3).failed(1, "c7777", error="the one that matters").client(1, "c7777", 2)
    for client in clients:
        script.done(1, client, 2 if client == "c7777" else 1)
    script.close(1, 10_000).commit(1).evaluate(1, 0.5, 0.5).finish(1, 0.5)
    found = read(script.events)
    assert "10,000 clients, 100 of them shown: those with trouble, and an even spread of the others." in found.text
    assert "300 of 10,000 clients are shown; activations.csv has them all." in found.text
    assert any("c7777 on" in (attrs.get("title") or "") for _, attrs in found.tags)
    assert found.bars("failed") == 1


def test_a_long_run_is_sampled_and_stays_small() -> None:
    story = story_of(plain_run(700, 2))
    text = page(story.view(), story)
    found = Reader(text)
    assert "701 rounds, 60 of them shown" in found.text
    assert "700 rounds, 500 of them drawn" in found.text
    assert "300 of 700 rows are shown; rounds.csv has them all." in found.text
    assert len(text) < 2_000_000


def test_an_ordinary_report_is_quick() -> None:
    story = story_of(plain_run(10, 20))
    times = []
    for _ in range(5):
        began = time.perf_counter()
        page(story.view(), story, fabric(names(20)))
        times.append(time.perf_counter() - began)
    assert min(times) < 0.25  # 20 ms on a quiet machine


def test_times_are_those_of_the_ledger() -> None:
    story = story_of(rough_run())
    assert story.worked(START) == 0
    assert story.worked(START + 30) == pytest.approx(story.worked(START + 50))  # in the pause
