"""The report's words and tables, section by section; None where there is nothing to say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from fedkeeper.observe.cost import Spent, dollars
from fedkeeper.observe.prices import SHEETS
from fedkeeper.observe.report.figures import Cause, Group, sample
from fedkeeper.observe.report.markup import Child, Html, el
from fedkeeper.observe.report.story import Story
from fedkeeper.observe.rows import RoundRow, RunView
from fedkeeper.observe.text import clock, count, one_line, score, took

_LINES, _ROWS, _NAMES = 60, 300, 12
_REASONS = {"quorum": "the quorum was reached", "deadline": "the deadline passed", "all": "everyone had answered"}


def section(title: str, *parts: Child) -> Html | None:
    body = [part for part in parts if part]
    return el("section", el("h2", title), body) if body else None


def table(columns: Sequence[str], rows: Iterable[Sequence[Child]], *, words: int = 1) -> Html:
    """The first `words` columns are text, the others numbers."""
    kinds = ["" if index < words else "number" for index in range(len(columns))]
    head = el("tr", [el("th", name, class_=kind or None) for name, kind in zip(columns, kinds, strict=True)])
    body = [el("tr", [el("td", cell, class_=kind or None) for cell, kind in zip(row, kinds, strict=True)]) for row in rows]
    return el("div", el("table", el("thead", head), el("tbody", body)), class_="scroll")


def folded(title: str, content: Html, *, opened: bool = False) -> Html:
    return el("details", el("summary", el("b", title)), content, open=opened)


def rounds(rows: Sequence[RoundRow]) -> Html | None:
    if not rows:
        return None
    columns = (
        "round",
        "clients",
        "counted",
        "invoke",
        "train",
        "aggregate",
        "evaluate",
        "total",
        "loss",
        "accuracy",
        "closed by",
    )
    shown = sample(rows, _ROWS)
    cells = [
        (row.round, row.clients, _whole(row.succeeded), *map(_time, (row.invoke_s, row.train_s, row.aggregate_s, row.evaluate_s)),
         _time(row.total_s), score(row.loss), score(row.accuracy), row.closed_by)
        for row in shown
    ]  # fmt: skip
    return el(
        "div", folded(count(len(rows), "round"), table(columns, cells, words=0)), _left_out(len(shown), len(rows), "rounds.csv")
    )


def moments(story: Story) -> Html | None:
    """What happened beside the rounds. Alike warnings are one line with their number."""
    number = Counter((one.kind, one.text) for one in story.moments)
    first = {(one.kind, one.text): one for one in reversed(story.moments)}
    alike = sorted(first.values(), key=lambda one: one.time)
    shown = sample(alike, _LINES, lambda one: float(one.kind != "warning"))
    items = []
    for one in shown:
        times = number[one.kind, one.text]
        often = el("em", f" {times:,} times") if times > 1 else None
        items.append(el("li", el("time", clock(story.worked(one.time))), el("span", one.text, often), class_=one.kind))
    pauses = [f"{took(end - start)}" for start, end in story.pauses]
    rest = len(alike) - len(shown) + story.more_moments
    notes = [f"and {count(rest, 'more line')}; run.log has them all"] if rest else []
    notes += (
        [f"nobody was at work for {' and '.join(pauses)}; that time is taken out of every figure"]
        if 0 < len(pauses) <= 10
        else []
    )
    notes += [f"{number:,} events of the type {kind}, which this version does not know" for kind, number in story.unknown.items()]
    if not items and not notes:
        return None
    return el("div", el("ul", items, class_="moments"), [el("p", note, class_="note") for note in notes])


def trouble(found: Sequence[Cause]) -> Html | None:
    """Why attempts were made again."""
    if not found:
        return None
    shown = found[:_LINES]
    cells = [
        (el("span", cause.state.replace("_", " "), class_=f"pill {cause.state}"), el("code", cause.example or "no reason was given"),
         ", ".join(map(one_line, cause.clusters)), cause.attempts, cause.clients, _rounds(cause.rounds))
        for cause in shown
    ]  # fmt: skip
    made = table(("ended", "for example", "on", "attempts", "clients", "rounds"), cells, words=3)
    return el("div", made, _left_out(len(shown), len(found), "activations.csv", "causes"))


def left_out(story: Story) -> Html | None:
    """Whose work was not counted, and whose was after all."""
    parts: list[Html | None] = []
    if story.dropped:
        shown = sample(story.dropped, _ROWS, lambda one: one.number)
        cells = [(one.round, _names(one.clients), _REASONS.get(one.reason, one.reason), f"{one.number:,}") for one in shown]
        parts.append(table(("round", "not counted", "closed because", "clients"), cells, words=3))
        parts.append(_left_out(len(shown), len(story.dropped), "events.jsonl", "rounds"))
    if story.late:
        said = count(len(story.late), "attempt") + " had been given up and delivered a result after all."
        parts.append(el("p", said, class_="note"))
    return el("div", parts) if parts else None


def _names(clients: Sequence[str]) -> str:
    more = f" and {len(clients) - _NAMES:,} more" if len(clients) > _NAMES else ""
    return ", ".join(one_line(client, 60) for client in clients[:_NAMES]) + more


def groups(found: Sequence[Group], what: str, peaks: Mapping[str, float] | None = None) -> Html | None:
    """The table per cluster (with `peaks`: memory) or per client."""
    if not found:
        return None
    shown = sample(found, _ROWS, lambda group: group.failed + group.retries)
    per_client = peaks is None
    columns = (what, "on" if per_client else "peak memory", "attempts", "failed", "retries", "cold starts", "not counted",
               "median time", "95% within", "examples")  # fmt: skip
    cells = [
        (one_line(one.name, 60), ", ".join(map(one_line, one.clusters)) if peaks is None else _memory(peaks.get(one.name)), one.attempts,
         _bad(one.failed), one.retries, one.cold, one.cancelled, _time(one.median_s), _time(one.p95_s), f"{one.examples:,}")
        for one in shown
    ]  # fmt: skip
    made = table(columns, cells, words=2 if per_client else 1)
    return el("div", made, _left_out(len(shown), len(found), "activations.csv", f"{what}s"))


def cost(spent: Spent) -> Html | None:
    if not spent.clusters:
        return None
    cells = [
        (one_line(one.cluster), one.provider or "not in the spec", f"{one.activations:,}", clock(one.seconds),
         "unknown" if one.usd is None else dollars(one.usd) if one.prices else "your own machines")
        for one in spent.clusters
    ]  # fmt: skip
    made = table(("cluster", "platform", "activations", "time", "cost"), cells, words=2)
    used = dict.fromkeys(one.provider for one in spent.clusters if one.prices)
    notes = [f"List prices of {SHEETS[kind].date}, {SHEETS[kind].where}: {SHEETS[kind].source}." for kind in used]
    if notes:
        notes.append(
            "Time in the ledger x the memory in the spec. Without free tiers, traffic, storage and logs: an order of magnitude, no bill."
        )
    return el("div", made, el("p", " ".join(notes), class_="note") if notes else None)


def tiles(view: RunView, spent: Spent | None) -> Html:
    """The figures people look for first."""
    counts = view.counts
    cold = sum(bool(row.cold_start) for row in view.activations)
    committed = sum(row.total_s is not None for row in view.rounds)
    goal = f"target {view.target_accuracy:g}" if view.target_accuracy is not None else ""
    wanted = f"of at most {view.rounds_wanted:,}" if view.rounds_wanted else ""
    lasted = clock(view.seconds) if view.seconds >= 100 else took(view.seconds)
    shown = [
        ("accuracy", score(view.accuracy), goal), ("loss", score(view.loss), ""), ("rounds", f"{committed:,}", wanted),
        ("time", lasted, ""), ("activations", f"{counts.requested:,}", f"{counts.failed:,} failed"),
        ("retries", f"{counts.retried:,}", ""), ("cold starts", f"{cold:,}", ""),
    ]  # fmt: skip
    if spent is not None and spent.charged:
        shown.append(("cost", dollars(spent.usd), "list prices"))
    return el(
        "div", [el("div", el("span", name), el("b", value), el("small", more)) for name, value, more in shown], class_="tiles"
    )


def _left_out(shown: int, there: int, file: str, what: str = "rows") -> Html | None:
    return None if shown >= there else el("p", f"{shown:,} of {there:,} {what} are shown; {file} has them all.", class_="note")


def _bad(number: int) -> Child:
    return el("b", f"{number:,}", class_="bad") if number else 0


def _rounds(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) if len(numbers) <= 6 else f"{numbers[0]} to {numbers[-1]} ({len(numbers)})"


def _time(seconds: float | None) -> str:
    return took(seconds)


def _memory(megabytes: float | None) -> str:
    return "-" if megabytes is None else f"{megabytes:,.0f} MB"


def _whole(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
