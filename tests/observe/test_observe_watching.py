"""What people see while a run goes on: the terminal's panel, the pipe's lines."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from fedkeeper.cli.watching import observers, watching
from fedkeeper.observe.live import Live
from fedkeeper.observe.plain import Plain, standing
from fedkeeper.observe.progress import Progress, panel
from tests.observe.ledgers import START, Script, names, plain_run, rough_run


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> float:
        return self.time


def live_of(events: list[dict[str, Any]], **kwargs: Any) -> Live:
    live = Live(**kwargs)
    for event in events:
        live.feed(event)
    return live


def text_of(live: Live, now: float, waiting_for: str = "", **kwargs: Any) -> list[str]:
    console = Console(file=io.StringIO(), width=120, color_system=None)
    console.print(panel(live, now, waiting_for, **kwargs))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)


def cut(events: list[dict[str, Any]], type_: str) -> list[dict[str, Any]]:
    return events[: next(index for index, event in enumerate(events) if event["type"] == type_)]


# --- the panel ---------------------------------------------------------------------------------------------------------
def test_the_panel_is_this_text() -> None:
    live = live_of(cut(rough_run(), "resumed"))
    assert text_of(live, START + 5, "2 clients") == [
        "round 1/2  ━━━━━━━╸                        1/4 clients  elapsed 0:00:05",
        "cluster  done  running  queued  retrying  failed",
        "laptop      1        1       0         0       0",
        "edge        0        1       0         1       0",
        "target 0.9  1 retry",
        "waiting for 2 clients",
    ]


def test_the_panel_shows_scores_and_what_is_left() -> None:
    events = plain_run(3, 4)
    last = next(index for index, event in enumerate(events) if event["type"] == "round_opened" and event["round"] == 3)
    lines = text_of(live_of(events[: last + 1]), events[last]["time"])
    assert lines[0].endswith("0/4 clients  elapsed 0:00:07  at most 0:00:02 left")
    assert "accuracy 0.7500 ▁█  loss 0.2500  target 0.9" in lines


def test_a_terminal_without_unicode_gets_ascii_bars() -> None:
    assert any("accuracy 0.8330 _+#" in line for line in text_of(live_of(plain_run(3, 1)), START, ascii_only=True))


def test_many_clusters_are_summed_up() -> None:
    clients = names(40)
    script = Script().start(40, 1).open(1, clients)
    live = live_of(script.events, cluster_of={client: f"k{index:02}" for index, client in enumerate(clients)})
    lines = text_of(live, START)
    assert any(line.startswith("32 more") and " 32 " in line for line in lines)
    assert len(lines) == 1 + 1 + 8 + 1


def test_a_relayed_client_is_shown_on_its_own_cluster() -> None:
    script = Script().start(1, 1).open(1, ["c0"]).requested(1, "r0001/train", "c0", 1, "fl_invoker", "laptop")
    assert live_of(script.events, cluster_of={"c0": "edge"}).clusters["edge"]["queued"] == 1
    assert "laptop" not in live_of(script.events, cluster_of={"c0": "edge"}).clusters


def test_text_from_outside_is_not_markup() -> None:
    script = Script(fabric="[red]x[/red]").start(1, 1).open(1, ["c0"]).client(1, "c0", cluster="[bold]k")
    assert any("[bold]k" in line for line in text_of(live_of(script.events), START, "[/nonsense]"))


# --- the terminal ------------------------------------------------------------------------------------------------------
def test_redraws_are_throttled() -> None:
    console, ticks = terminal(), Clock()
    progress = Progress(console, now=ticks, ticks=ticks)
    progress.on_events(Script().start().events)  # type: ignore[arg-type]
    size = len(console.file.getvalue())  # type: ignore[attr-defined]
    for _ in range(1000):
        progress.on_tick("4 clients")
    assert len(console.file.getvalue()) == size  # type: ignore[attr-defined]
    ticks.time += 0.11
    progress.on_tick("4 clients")
    assert "waiting for 4 clients" in console.file.getvalue()  # type: ignore[attr-defined]
    progress.close()
    progress.close()


def test_a_terminal_keeps_one_line_per_step_of_the_story() -> None:
    console = terminal()
    progress = Progress(console, now=Clock(), ticks=Clock())
    for event in rough_run():
        progress.on_events([event])
    progress.close()
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "client c1 on laptop: attempt 1 failed: out of memory at line 3; next attempt in 0.500 s" in text
    assert "round 2/2 accuracy 0.9500, loss 0.0500" in text
    assert "round 1/2 closed: 3 updates, 1 client not counted" in text
    for routine in ("c0 on laptop: done", "round 2/2 opened", "round 2/2 closed"):
        assert routine not in text


def test_ticks_after_the_end_draw_nothing() -> None:
    console = terminal()
    progress = Progress(console)
    progress.close()
    progress.on_tick("nothing")
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]


# --- the pipe ----------------------------------------------------------------------------------------------------------
def plain(events: list[list[dict[str, Any]]]) -> list[str]:
    stream, clock = io.StringIO(), Clock()
    observer = Plain(stream, now=clock)
    for batch in events:
        clock.time = batch[-1]["time"]
        observer.on_events(batch)  # type: ignore[arg-type]
    observer.close()
    return stream.getvalue().splitlines()


def test_a_pipe_gets_the_story() -> None:
    assert plain([[event] for event in rough_run()]) == [
        "[0:00:00] run demo-1 of fabric demo: task mnist_mlp, strategy fedavg, 4 of 4 clients per round, at most 2 rounds, "
        "target accuracy 0.9",
        "[0:00:01] round 1/2 opened: 4 clients",
        "[0:00:02] warning: client c1 on laptop: attempt 1 failed: out of memory at line 3; next attempt in 0.500 s",
        "[0:00:03] warning: client c2 on edge: attempt 1 lost: unknown id; next attempt in 0.500 s",
        "[0:00:03] resumed by a new orchestrator",
        "[0:00:03] round 1/2 closed: 3 updates, 1 client not counted (the quorum is reached)",
        "[0:00:04] round 1/2 accuracy 0.5000, loss 0.5000 on 1,000 examples",
        "[0:00:04] warning: client c3 is slow",
        "[0:00:04] round 2/2 opened: 4 clients",
        "[0:00:07] round 2/2 closed: 4 updates (everyone answered)",
        "[0:00:08] round 2/2 accuracy 0.9500, loss 0.0500 on 1,000 examples",
        "[0:00:08] finished after 2 rounds in 68.3 s: the target accuracy is reached; accuracy 0.9500, loss 0.0500, model sha256:m2",
    ]


def test_the_replayed_past_is_one_line() -> None:
    past = cut(plain_run(3, 4), "finished")
    assert plain([past]) == ["[0:00:11] run demo-1 of fabric demo: 3 of 3 rounds done before, accuracy 0.8330"]


def test_ten_thousand_failures_are_six_lines() -> None:
    clients = names(10_000)
    script = Script().start(10_000, 1)
    start, batch = list(script.events), len(script.events)
    script.open(1, clients)
    for client in clients:
        script.client(1, client).failed(1, client)
    lines = plain([start, script.events[batch:]])
    assert lines[-1].endswith("warning: ... and 9,995 more attempts that failed, were lost or timed out")
    assert len(lines) == 1 + 1 + 5 + 1


def test_a_sign_of_life_every_ten_seconds_of_silence() -> None:
    stream, clock = io.StringIO(), Clock()
    observer = Plain(stream, now=clock)
    observer.on_events(cut(rough_run(), "closed")[:9])  # type: ignore[arg-type]
    stream.truncate(0)
    for _ in range(250):
        clock.time += 0.1
        observer.on_tick("4 clients")
    assert stream.getvalue().strip("\0").splitlines() == [
        "[0:00:10] round 1/2: 0 of 4 clients done, 2 running; waiting for 4 clients",
        "[0:00:20] round 1/2: 0 of 4 clients done, 2 running; waiting for 4 clients",
    ]


def test_standing_in_other_phases() -> None:
    assert standing(live_of(Script().start().events), "fl_server_init") == "starting; waiting for fl_server_init"
    assert standing(live_of(cut(plain_run(), "committed")), "") == "aggregating"


# --- who watches -------------------------------------------------------------------------------------------------------
def test_a_pipe_gets_lines_a_terminal_a_panel_and_quiet_nobody() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert [type(one) for one in observers({}, quiet=False, stream=Terminal())] == [Progress]
    assert [type(one) for one in observers({}, quiet=False, stream=io.StringIO())] == [Plain]
    assert observers({}, quiet=True, stream=Terminal()) == []
    with watching({}, quiet=True) as watchers:
        assert watchers == []
