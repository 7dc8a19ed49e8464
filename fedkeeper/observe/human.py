"""One line of plain text per event: what `run.log`, `fedkeeper logs` and a pipe show.

event -> Line(level, text), or None for an event that only fills tables (requested, accepted)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from fedkeeper.events import SERVER, Event
from fedkeeper.model import Json
from fedkeeper.observe.live import size
from fedkeeper.observe.text import count, iso, one_line, score, task_name, took

INFO, WARNING, ERROR = "INFO", "WARNING", "ERROR"


class Line(NamedTuple):
    level: str
    text: str


def line_of(event: Event, *, cluster: str = "", rounds: int = 0) -> Line | None:
    """`cluster`: where the event's activation ran; `rounds`: how many are wanted, for `round 3/10`."""
    if event["type"] == "ended":
        return _ended(event, cluster)
    text = _TEXTS.get(event["type"])
    return Line(_LEVELS.get(event["type"], INFO), text(event, rounds)) if text else None


def stamped(event: Event, line: Line) -> str:
    """The form of `run.log`: time, level, text."""
    return f"{iso(event.get('time'))} {line.level:<7} {line.text}"


def attempt(event: Event, cluster: str = "") -> str:
    """`client 17 on edge`, `r0003/aggregate`: who an activation is about."""
    subject = str(event["subject"])
    who = str(event["step"]) if subject == SERVER else f"client {subject}"
    return one_line(f"{who} on {cluster}" if cluster else who)


def turn(event: Event, rounds: int) -> str:
    return f"round {event.get('round')}/{rounds}" if rounds else f"round {event.get('round')}"


def _ended(event: Event, cluster: str) -> Line:
    who, state = attempt(event, cluster), str(event["state"])
    if state == "succeeded":
        return Line(INFO, f"{who}: done{_report(event)}")
    if state == "cancelled":
        return Line(INFO, f"{who}: cancelled, its result is ignored")
    cause = f": {one_line(event['error'])}" if event.get("error") else ""
    retry = event.get("retry_in")
    what = f"attempt {event['attempt']} {state.replace('_', ' ')}{cause}"
    if retry is None:
        return Line(ERROR, f"{who}: {what}; no attempt is left")
    return Line(WARNING, f"{who}: {what}; next attempt in {took(float(retry))}")


def _report(event: Event) -> str:
    """` in 3.2 s (600 examples, loss 0.1234)`, as far as it is known."""
    start, end = event.get("started"), event.get("finished")
    words = [count(int(event["examples"]), "example")] if event.get("examples") else []
    words += [f"{one_line(name)} {_number(value)}" for name, value in (event.get("metrics") or {}).items()]
    if int(event["attempt"]) > 1:
        words.append(f"attempt {event['attempt']}")
    if event.get("cold_start"):
        words.append("cold start")
    lasted = f" in {took(float(end) - float(start))}" if start is not None and end is not None else ""
    return lasted + (f" ({', '.join(words)})" if words else "")


def _number(value: Json) -> str:
    return f"{value:.4f}" if isinstance(value, float) else one_line(value)


def _started(event: Event, _rounds: int) -> str:
    goal = event.get("target_accuracy")
    per_round = event.get("clients_per_round") or size(event.get("clients"))
    task = task_name(str(event.get("task")))
    clients, rounds = count(size(event.get("clients")), "client"), count(int(event.get("rounds") or 0), "round")
    return (
        f"run {event.get('run')} of fabric {event.get('fabric')}: task {task}, strategy {event.get('strategy')}, "
        f"{per_round} of {clients} per round, at most {rounds}" + (f", target accuracy {goal}" if goal is not None else "")
    )


def _opened(event: Event, rounds: int) -> str:
    return f"{turn(event, rounds)} opened: {count(size(event.get('clients')), 'client')}"


def _closed(event: Event, rounds: int) -> str:
    dropped = size(event.get("dropped"))
    why = {"all": "everyone answered", "quorum": "the quorum is reached", "deadline": "the deadline passed"}
    reason = str(event.get("reason") or "")
    left = f", {count(dropped, 'client')} not counted" if dropped else ""
    return f"{turn(event, rounds)} closed: {count(size(event.get('counted')), 'update')}{left} ({why.get(reason, reason)})"


def _evaluated(event: Event, rounds: int) -> str:
    examples = f" on {count(int(event['examples']), 'example')}" if event.get("examples") else ""
    return f"{turn(event, rounds)} accuracy {score(event.get('accuracy'))}, loss {score(event.get('loss'))}{examples}"


def _interrupted(event: Event, _rounds: int) -> str:
    cause = f": {one_line(event['error'])}" if event.get("error") else ""
    reason = "an error" if event.get("reason") == "error" else "a signal"
    return f"interrupted by {reason}{cause}; `fedkeeper resume` goes on from here"


def _finished(event: Event, _rounds: int) -> str:
    reasons = {
        "target_accuracy": "the target accuracy is reached",
        "rounds": "all rounds are done",
        "time_budget": "the time budget is used up",
        "stopped": "it was asked to stop",
    }
    reason = str(event.get("stop_reason") or "")
    rounds, lasted = count(int(event.get("rounds") or 0), "round"), took(event.get("seconds"))
    scores = f"accuracy {score(event.get('accuracy'))}, loss {score(event.get('loss'))}"
    return f"finished after {rounds} in {lasted}: {reasons.get(reason, reason)}; {scores}, model {event.get('model')}"


_LEVELS = {"warning": WARNING, "interrupted": WARNING, "recreated": WARNING}
_TEXTS: Mapping[str, Callable[[Event, int], str]] = {
    "run_started": _started,
    "resumed": lambda _event, _rounds: "resumed by a new orchestrator",
    "recreated": lambda event, _rounds: (
        f"function {event.get('function')} on {event.get('cluster')} was gone and has been made again"
    ),
    "initialised": lambda event, _rounds: f"initial model {event.get('model')}",
    "round_opened": _opened,
    "closed": _closed,
    "committed": lambda event, rounds: f"{turn(event, rounds)} committed: model {event.get('model')}",
    "evaluated": _evaluated,
    "warning": lambda event, _rounds: one_line(event.get("message", "")),
    "interrupted": _interrupted,
    "finished": _finished,
}
