"""Old weights go, and nothing that any run of the store still needs."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedkeeper.events import INIT_STEP, SERVER, Event, aggregate_step, train_step
from fedkeeper.model import Receipt, Ref, StepKey
from fedkeeper.stores.memory import MemoryStore
from fedkeeper.train.collect import Collector, collect_all, last_round, weights_of
from fedkeeper.train.runs import RunRecord

CLIENTS = ("a", "b")


class World:
    """Runs whose clients return `content(run, round, client)`: equal content, equal blob."""

    def __init__(self) -> None:
        self.store = MemoryStore("memory:")

    def begin(self, run: str, *, finished: bool = False, rounds: int = 0, content: str = "", keep: int = 2) -> None:
        self.record(run, end={"model": self.blob(f"{content or run} model {rounds}")} if finished else None, keep=keep)
        self.receipt(run, INIT_STEP, SERVER, f"{content or run} model 0")
        for round_ in range(1, rounds + 1):
            self.round(run, round_, content)

    def record(self, run: str, end: dict[str, object] | None, keep: int = 2) -> None:
        RunRecord(run, "fabric", 0.0, "c.yaml", "", (), "d", "r", keep, end).save(self.store)

    def round(self, run: str, round_: int, content: str = "") -> None:
        self.train(run, round_, content)
        self.receipt(run, aggregate_step(round_), SERVER, f"{content or run} model {round_}")

    def train(self, run: str, round_: int, content: str = "") -> None:
        for client in CLIENTS:
            self.receipt(run, train_step(round_), client, f"{content or run} update {round_} {client}")

    def receipt(self, run: str, step: str, subject: str, text: str) -> None:
        self.store.put_receipt(run, Receipt(StepKey(step, subject), {}, {"model": self.blob(text)}))

    def blob(self, text: str) -> Ref:
        return self.store.put_blob(text.encode())

    def there(self, text: str) -> bool:
        return any(self.store.get_blob(ref) == text.encode() for ref in self.store.blobs())

    def collect(self, run: str, committed: int, keep: int = 2, grace_s: float = 600.0) -> None:
        """The collector as it sees a live run, up to the commit of a round and the run's end."""
        collector = Collector(self.store, run, keep, grace_s)
        collector.on_events(self.events(run, committed - 1))
        collector.on_events(self.events(run, committed)[-1 - len(CLIENTS) :])
        collector.on_events([finished(committed)])
        collector.close()

    def events(self, run: str, committed: int) -> list[Event]:
        """What the receipts of a run's rounds became in its ledger."""
        events: list[Event] = [{"seq": 0, "time": 0.0, "type": "run_started"}]
        (initial,) = weights_of(self.store, run, 0)
        events.append({"type": "initialised", "model": initial, "partition": None})
        for round_ in range(1, committed + 1):
            step = train_step(round_)
            for client, receipt in self.store.receipts(run, step).items():
                ended = {"type": "ended", "state": "succeeded", "round": round_, "step": step, "subject": client}
                events.append({**ended, "outputs": dict(receipt.outputs)})
            model = self.store.get_receipt(run, StepKey(aggregate_step(round_), SERVER))
            assert model is not None
            events.append({"type": "committed", "round": round_, "model": model.outputs["model"]})
        return events


def finished(rounds: int) -> Event:
    return {"type": "finished", "rounds": rounds}


def test_the_last_rounds_stay() -> None:
    world = World()
    world.begin("r", rounds=4)
    world.collect("r", 4)
    assert [world.there(f"r update {n} a") for n in (1, 2, 3, 4)] == [False, False, True, True]
    assert [world.there(f"r model {n}") for n in (0, 1, 2, 3, 4)] == [False, False, False, True, True]
    assert len(world.store.receipts("r", train_step(1))) == 2


def test_keep_all_keeps_all() -> None:
    world = World()
    world.begin("r", rounds=4)
    before = set(world.store.blobs())
    world.collect("r", 4, keep=0)
    assert set(world.store.blobs()) == before


def test_the_past_of_a_resumed_run_waits_for_its_next_commit() -> None:
    world = World()
    world.begin("r", rounds=4)
    collector = Collector(world.store, "r", 1)
    collector.on_events(world.events("r", 4))
    collector.on_events([{"type": "resumed"}])
    assert world.there("r update 1 a")
    world.round("r", 5)
    collector.on_events(world.events("r", 5)[-3:])
    collector.on_events([finished(5)])
    collector.close()
    assert [world.there(f"r update {n} a") for n in (1, 2, 3, 4, 5)] == [False] * 4 + [True]


def test_an_update_that_comes_back_in_a_later_round_stays() -> None:
    """A client that has converged returns the same bytes again."""
    world = World()
    world.begin("r", rounds=0)
    for round_ in (1, 2, 3, 4):
        world.receipt("r", train_step(round_), "a", "the same for ever")
        world.receipt("r", train_step(round_), "b", f"b {round_}")
        world.receipt("r", aggregate_step(round_), SERVER, f"r model {round_}")
    world.collect("r", 4)
    assert world.there("the same for ever")
    assert [world.there(f"b {n}") for n in (1, 2, 3, 4)] == [False, False, True, True]


def test_what_a_finished_run_ended_with_stays() -> None:
    world = World()
    world.begin("other", rounds=3, finished=True, content="same")
    world.begin("r", rounds=6, content="same")
    world.collect("r", 6)
    assert [world.there(f"same model {n}") for n in range(7)] == [False, False, True, True, False, True, True]
    assert world.there("same update 2 a")
    assert not world.there("same update 1 a")


def test_each_run_keeps_what_its_own_spec_says() -> None:
    world = World()
    world.begin("all", rounds=3, finished=True, content="same", keep=0)
    world.begin("r", rounds=6, content="same")
    world.collect("r", 6)
    collect_all(world.store, grace_s=0.0)
    assert [world.there(f"same update {n} a") for n in range(1, 7)] == [True, True, True, False, True, True]


def test_what_an_unfinished_run_is_about_to_count_stays() -> None:
    world = World()
    world.begin("other", rounds=1, content="same")
    world.train("other", 2, content="same")
    world.begin("r", rounds=6, content="same")
    world.collect("r", 6, grace_s=0.0)
    assert [world.there(f"same update {n} a") for n in range(1, 7)] == [True, True, False, False, True, True]


def test_beside_an_unfinished_run_young_blobs_stay() -> None:
    world = World()
    world.begin("other")
    world.begin("r", rounds=4)
    world.collect("r", 4, grace_s=600.0)
    assert world.there("r update 1 a")
    world.record("other", end={"model": world.blob("theirs")})
    world.collect("r", 4, grace_s=600.0)
    assert not world.there("r update 1 a")


def test_what_is_put_again_after_the_commit_stays() -> None:
    world = World()
    world.begin("r", rounds=3)
    collector = Collector(world.store, "r", 2)
    collector.on_events(world.events("r", 2))
    clock = world.store.clock()
    world.store.clock = lambda: clock  # type: ignore[method-assign]
    again = world.blob("r update 1 a")
    collector.on_events(world.events("r", 3)[-3:])
    collector.on_events([finished(3)])
    collector.close()
    assert world.store.has_blob(again)
    assert not world.there("r update 1 b")


def test_collect_all_takes_what_was_left_behind() -> None:
    world = World()
    world.begin("one", rounds=5, finished=True)
    world.begin("two", rounds=3, content="one")
    assert collect_all(world.store, grace_s=600.0) == 0
    assert collect_all(world.store, grace_s=0.0) > 0
    assert [world.there(f"one update {n} a") for n in range(1, 6)] == [False, True, True, True, True]
    assert collect_all(world.store, grace_s=0.0) == 0


@pytest.mark.parametrize("rounds", [0, 1, 2, 3, 4, 7, 8, 9, 100])
def test_the_last_round_is_found(rounds: int) -> None:
    world = World()
    for round_ in range(1, rounds + 1):
        world.receipt("r", aggregate_step(round_), SERVER, "m")
    assert last_round(world.store, "r") == rounds


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.sampled_from("xy")), min_size=1, max_size=4), st.integers(1, 3))
def test_no_run_loses_what_it_needs(runs: list[tuple[int, bool, str]], keep: int) -> None:
    """Whatever runs share, after collecting behind each of them every run has its last rounds, its open round and its model."""
    world = World()
    for number, (rounds, finished, content) in enumerate(runs):
        world.begin(str(number), rounds=rounds, finished=finished, content=content, keep=keep)
        if not finished:
            world.train(str(number), rounds + 1, content=content)
    for number, (rounds, _, _) in enumerate(runs):
        if rounds:
            world.collect(str(number), rounds, keep=keep, grace_s=0.0)
    for number, (rounds, finished, content) in enumerate(runs):
        window = range(max(0, rounds - keep + 1), rounds + 1 if finished else rounds + 2)
        needed = set(itertools.chain.from_iterable(weights_of(world.store, str(number), round_) for round_ in window))
        assert all(world.store.has_blob(ref) for ref in needed)
        assert world.there(f"{content} model {rounds}")
