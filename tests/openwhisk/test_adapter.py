"""The adapter's ways with the API: what it deploys, how it looks, how it calls. Exchanges are held against the description."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedkeeper.emulator.limits import OpenWhiskLimits
from fedkeeper.errors import ActivationFailed, Throttled
from fedkeeper.providers.openwhisk.activations import Started
from fedkeeper.providers.openwhisk.caller import OpenWhiskCaller
from fedkeeper.providers.openwhisk.client import Client
from fedkeeper.providers.openwhisk.config import Config
from fedkeeper.providers.openwhisk.looks import SINGLES, Looks
from fedkeeper.providers.openwhisk.naming import MAX_LENGTH, platform_name
from fedkeeper.providers.openwhisk.outcome import status_of
from fedkeeper.providers.openwhisk.provider import OpenWhiskProvider
from fedkeeper.states import ActivationState
from fedkeeper.testing.emulated import Emulated, emulated
from tests.openwhisk.answers import Answers, Asked
from tests.openwhisk.bench import ECHO, SETTINGS, make_spec, open_provider, provider_of
from tests.openwhisk.swagger import complaints
from tests.openwhisk.wiretap import Wiretap

MIXED = """
def handle(params, body):
    if params["n"] % 3 == 0:
        raise ValueError(f"no {params}")
    return {"n": params["n"]}, b""
"""
ENVIRON = "import os\n\ndef handle(params, body):\n    return {name: os.environ.get(name) for name in params['names']}, b''\n"
SLEEP = "import time\n\ndef handle(params, body):\n    time.sleep(params['s'])\n    return 'woken', b''\n"


@pytest.fixture
def tap(emulator: Emulated) -> Iterator[Wiretap]:
    with Wiretap(emulator.base_url) as running:
        yield running
        time.sleep(0.05)
        assert [text for exchange in running.exchanges for text in complaints(exchange)] == []


@pytest.fixture
def tapped(emulator: Emulated, tap: Wiretap) -> OpenWhiskProvider:
    return open_provider({**emulator.environ, "OW_API_HOST": tap.url})


def until_ended(provider: OpenWhiskProvider, ids: list[str]) -> dict[str, ActivationState]:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        states = {name: status.state for name, status in provider.status(ids).items()}
        if all(state.ended for state in states.values()):
            return states
        time.sleep(0.02)
    raise AssertionError("they did not end")


def test_a_whole_life_as_the_description_says(tapped: OpenWhiskProvider, tap: Wiretap) -> None:
    spec, package = make_spec("life", ECHO)
    tapped.create(spec, package)
    tapped.update(spec, package)
    assert tapped.functions("f")["life"].digest == spec.digest
    assert tapped.call("life", {"a": 1}, b"xyz", 10).body == b"zyx"
    ids = [tapped.invoke("life", {"n": n}).activation_id or "" for n in range(6)]
    assert set(until_ended(tapped, ids).values()) == {ActivationState.SUCCEEDED}
    assert tapped.logs(ids[0]) == ""
    assert tapped.logs("0" * 32) == ""
    tapped.delete("life")
    assert {exchange.method for exchange in tap.exchanges} == {"GET", "PUT", "POST", "DELETE"}


def test_what_is_deployed(tapped: OpenWhiskProvider, tap: Wiretap) -> None:
    spec, package = make_spec("f", ECHO, environment={"A": "1"}, options={"image": "me/tf:1", "concurrency": 2})
    tapped.create(spec, package)
    body = tap.exchanges[-1].body
    notes = {pair["key"]: pair["value"] for pair in body["annotations"]}
    assert body["exec"]["kind"] == "blackbox"
    assert body["exec"]["image"] == "me/tf:1"
    assert body["limits"] == {"memory": 256, "timeout": 20_000, "concurrency": 2, "logs": 10}
    assert notes["web-export"] is False
    assert notes["require-whisk-auth"] is True
    assert notes["provide-api-key"] is False
    assert (notes["fedkeeper-fabric"], notes["fedkeeper-digest"], notes["final"]) == ("f", spec.digest, True)


def test_secrets_reach_the_handler_and_nobody_can_replace_them(emulator: Emulated) -> None:
    provider = open_provider({**emulator.environ, "STORE": "mongodb://secret"})
    provider.create(*make_spec("f", ENVIRON, environment={"PLAIN": "1"}, secrets={"FEDKEEPER_STORE": "STORE"}))
    reply = provider.call("f", {"names": ["PLAIN", "FEDKEEPER_STORE"]}, timeout_s=10)
    assert reply.result == {"PLAIN": "1", "FEDKEEPER_STORE": "mongodb://secret"}
    assert "secret" not in repr(provider.config)


def test_many_are_looked_at_with_few_requests(emulator: Emulated, tapped: OpenWhiskProvider, tap: Wiretap) -> None:
    tapped.create(*make_spec("f", MIXED))
    ids = [tapped.invoke("f", {"n": n}).activation_id or "" for n in range(60)]
    while emulator.platforms["openwhisk"].in_flight("guest"):
        time.sleep(0.02)
    before = len(tap.exchanges)
    states = tapped.status(ids)
    asked = tap.exchanges[before:]
    assert [states[name].state for name in ids] == [
        ActivationState.FAILED,
        ActivationState.SUCCEEDED,
        ActivationState.SUCCEEDED,
    ] * 20
    assert states[ids[0]].error == "ValueError: no {'n': 0}"
    assert len([one for one in asked if one.path.endswith("/activations")]) == 1
    assert len(asked) == 21  # and one for each that failed


@dataclass
class Records:
    """An installation with a long past: it has `others` newer activations than the one asked for."""

    others: int
    kept: dict[str, dict[str, object]] = field(default_factory=dict)

    def say(self, asked: Asked) -> tuple[int, object]:
        if "?" in asked.path:
            skip = int(asked.path.partition("skip=")[2])
            return 200, [
                {"activationId": f"{n:032d}", "start": 1, "statusCode": 0} for n in range(skip, min(skip + 200, self.others))
            ]
        found = self.kept.get(asked.path.rpartition("/")[2])
        return (200, found) if found else (404, {"error": "The requested resource does not exist.", "code": "x"})


def looks_at(url: str, clock: list[float]) -> Looks:
    environ = {"OW_API_HOST": url, "OW_AUTH": "a:b"}
    return Looks(Client(Config.of(SETTINGS, environ, "providers.openwhisk.edge"), environ), 10.0, lambda: clock[0])


def test_what_a_long_list_hides_is_found_in_turn() -> None:
    ids = [f"{n:032x}" for n in range(0xA000, 0xA000 + 50)]
    records = Records(10_000)
    with Answers(records.say) as server:
        looks = looks_at(server.url, [0.0])
        for name in ids:
            looks.begin(Started(name, 1000.0))
            records.kept[name] = {"activationId": name, "response": {"status": "success"}}
        first = looks.status(ids)
        asked = len(server.asked)
        assert sum(status.state.ended for status in first.values()) == SINGLES
        assert asked == SINGLES + 2
        second = looks.status([name for name in ids if not first[name].state.ended])
        assert all(status.state.ended for status in second.values())


def test_no_record_is_patience_then_loss() -> None:
    clock = [0.0]
    with Answers(Records(0).say) as server:
        looks = looks_at(server.url, clock)
        ids = [f"{n:032x}" for n in range(6)]
        for name in ids:
            looks.begin(Started(name, None))
        assert {status.state for status in looks.status(ids).values()} == {ActivationState.ACCEPTED}
        assert looks.status(ids[:1])[ids[0]].state is ActivationState.ACCEPTED
        clock[0] = 141.0
        assert {status.state for status in looks.status(ids).values()} == {ActivationState.LOST}


@pytest.mark.parametrize(
    ("record", "state", "error"),
    [
        ({"response": {"status": "success", "success": True, "result": {"a": 1}}}, "succeeded", None),
        ({"response": {"status": "application error", "result": {"error": "V: x\ny"}}}, "failed", "V: x y"),
        ({"response": {"status": "action developer error", "result": {"error": {"odd": 1}}}}, "failed", '{"odd": 1}'),
        ({"response": {"status": "whisk internal error", "success": False}}, "failed", "whisk internal error"),
        ({"response": {"status": "something new", "success": False}}, "failed", "something new"),
        ({"statusCode": 0}, "succeeded", None),
        ({"statusCode": 2, "annotations": [{"key": "timeout", "value": True}]}, "timed_out", None),
        (
            {
                "response": {
                    "status": "action developer error",
                    "result": {"error": "The action exceeded its time limits of 9 milliseconds."},
                }
            },
            "timed_out",
            "The action exceeded its time limits of 9 milliseconds.",
        ),
    ],
)
def test_the_state_table(record: dict[str, object], state: str, error: str | None) -> None:
    status = status_of({"start": 1500, **record})
    assert (status.state.value, status.error, status.started) == (state, error, 1.5)


def test_a_cold_start_is_told(provider: OpenWhiskProvider) -> None:
    provider.create(*make_spec("f", ECHO))
    first = provider.invoke("f", {}).activation_id or ""
    until_ended(provider, [first])
    second = provider.invoke("f", {}).activation_id or ""
    until_ended(provider, [second])
    assert provider.status([first])[first].cold_start is True
    assert provider.status([second])[second].cold_start is False


def test_a_call_longer_than_a_blocking_one_may_be(emulator: Emulated, provider: OpenWhiskProvider) -> None:
    provider.create(*make_spec("f", SLEEP))
    caller = OpenWhiskCaller(SETTINGS, emulator.environ)
    assert caller.call("f", {"s": 1.0}, b"", 10).result == "woken"  # the emulator's limit is 0.5 s
    with pytest.raises(ActivationFailed, match="f: no answer in time"):
        caller.call("f", {"s": 5}, b"", 0.3)


def test_the_caller_waits_where_nobody_paces_it(tmp_path: Path) -> None:
    with emulated(tmp_path, limits={"openwhisk": OpenWhiskLimits(max_concurrency=1)}) as emulator:
        provider = provider_of(emulator)
        provider.create(*make_spec("f", SLEEP))
        provider.invoke("f", {"s": 1.0})
        caller = OpenWhiskCaller(SETTINGS, emulator.environ)
        assert caller.call("f", {"s": 0}, b"", 10).result == "woken"
        provider.invoke("f", {"s": 3.0})
        with pytest.raises(Throttled):
            caller.call("f", {"s": 0}, b"", 0.3)


def test_plain_arguments_get_a_plain_answer(emulator: Emulated, tap: Wiretap, provider: OpenWhiskProvider) -> None:
    provider.create(*make_spec("f", ECHO))
    client = Client(Config.of(SETTINGS, {**emulator.environ, "OW_API_HOST": tap.url}, "x"), {})
    answer = client.request(
        "POST", "actions/f", query={"blocking": "true", "result": "true"}, body=json.dumps({"name": "Ada"}).encode()
    )
    assert answer.data == {"echo": {"name": "Ada"}}


@pytest.mark.parametrize("name", ["mnist-fl_client", "a", "a.b@c d", "x" * 256])
def test_legal_names_stay(name: str) -> None:
    assert platform_name(name) == name


@given(first=st.text(min_size=1, max_size=300), second=st.text(min_size=1, max_size=300))
def test_every_name_becomes_a_legal_one_of_its_own(first: str, second: str) -> None:
    made = platform_name(first)
    assert platform_name(made) == made
    assert len(made) <= MAX_LENGTH
    if first != second:
        assert made != platform_name(second)


def test_the_original_name_is_listed(provider: OpenWhiskProvider) -> None:
    provider.create(*make_spec("Zürich/1", ECHO))
    assert set(provider.functions("f")) == {"Zürich/1"}
    assert provider.call("Zürich/1", {}, timeout_s=10).result == {"echo": {}}
    provider.delete("Zürich/1")
    assert provider.functions("f") == {}
