"""Platform: functions and activations, what survives a restart, and what a function can see of this host."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fedkeeper.emulator import history
from fedkeeper.emulator.history import History
from fedkeeper.emulator.limits import DEFAULTS, AwsLimits, GoogleLimits, OpenWhiskLimits
from fedkeeper.emulator.stored import Outcome
from fedkeeper.errors import FunctionNotFound, PackageError
from fedkeeper.states import ActivationState
from tests.emulator.zips import Bench, bench, make_zip

ECHO = "def main(args): return {'got': args}"


@pytest.fixture
def whisk(tmp_path: Path) -> Iterator[Bench]:
    with bench("openwhisk", tmp_path / "ow") as made:
        yield made


# --- functions ---------------------------------------------------------------------------------------------------------
def test_functions_are_kept_as_they_were_given(whisk: Bench) -> None:
    package = make_zip({"__main__.py": ECHO})
    stored = whisk.put(ECHO, "b")
    whisk.put(ECHO, "a")
    assert (stored.scope, stored.name, stored.meta, stored.revision, stored.package) == ("guest", "b", {"doc": "b"}, 1, None)
    assert [one.name for one in whisk.platform.list("guest")] == ["a", "b"]
    assert whisk.platform.list("other") == []
    assert whisk.platform.code("guest", "b") == package


def test_a_new_version_replaces_and_an_empty_package_keeps_the_code(whisk: Bench) -> None:
    first = whisk.put(ECHO)
    again = whisk.platform.put("guest", "f", {"v": 2}, b"", memory_mb=128, timeout_s=1, environment={}, entry="__main__.main")
    assert (again.revision, again.created) == (2, first.created)
    assert whisk.platform.code("guest", "f") == make_zip({"__main__.py": ECHO})
    whisk.put("def main(args): return {'new': True}")
    assert json.loads(whisk.ask().answer) == {"new": True}


def test_what_is_returned_is_a_copy(whisk: Bench) -> None:
    whisk.put(ECHO).meta["doc"] = "changed"
    found = whisk.platform.get("guest", "f")
    assert found is not None
    found.meta["doc"] = "changed"
    assert whisk.platform.list("guest")[0].meta == {"doc": "f"}


def test_the_document_alone_can_change(whisk: Bench) -> None:
    whisk.put(ECHO)
    assert whisk.platform.set_meta("guest", "f", {"doc": "new"}).revision == 2
    assert json.loads(whisk.ask({"a": 1}).answer) == {"got": {"a": 1}}
    with pytest.raises(FunctionNotFound):
        whisk.platform.set_meta("guest", "nobody", {})


def test_deleting_twice(whisk: Bench) -> None:
    whisk.put(ECHO)
    assert [whisk.platform.delete("guest", "f"), whisk.platform.delete("guest", "f")] == [True, False]
    assert whisk.platform.get("guest", "f") is None
    with pytest.raises(FunctionNotFound):
        whisk.start()
    with pytest.raises(FunctionNotFound):
        whisk.platform.code("guest", "f")


@pytest.mark.parametrize(
    ("package", "message"),
    [
        (b"no zip", "not a zip"),
        (b"", "no code"),
        (make_zip({"__main__.py": ECHO, "shim.py": ""}), "shim.py"),
        (make_zip({"__main__.py": ECHO, "../out.py": ""}), "leaves its folder"),
    ],
)
def test_a_bad_package_is_refused_and_nothing_is_kept(whisk: Bench, package: bytes, message: str) -> None:
    with pytest.raises(PackageError, match=message):
        whisk.platform.put("guest", "f", {}, package, memory_mb=128, timeout_s=1, environment={}, entry="__main__.main")
    assert whisk.platform.list("guest") == []


def test_long_and_odd_names(whisk: Bench) -> None:
    for name in ("pkg/a b@c.d-e", "x" * 250, "ü"):
        whisk.put(ECHO, name)
        assert json.loads(whisk.ask({"n": name}, name).answer) == {"got": {"n": name}}
    assert len(whisk.platform.list("guest")) == 3


# --- activations -------------------------------------------------------------------------------------------------------
def test_an_activation_from_start_to_end(whisk: Bench) -> None:
    whisk.put("import time\ndef main(args):\n    print('hello')\n    time.sleep(0.3)\n    return args")
    before = time.time()
    activation_id = whisk.start({"a": 1})
    running = whisk.platform.outcome(activation_id)
    assert running is not None
    assert (running.state, running.ended) == (ActivationState.ACCEPTED, None)
    assert whisk.platform.in_flight("guest") == 1
    assert whisk.wait(activation_id, 0.01) is None
    done = whisk.wait(activation_id)
    assert done is not None
    assert (done.state, json.loads(done.answer), done.error, done.error_kind) == (ActivationState.SUCCEEDED, {"a": 1}, None, None)
    assert (done.scope, done.name, done.logs, done.cold_start) == ("guest", "f", "hello\n", True)
    assert before <= (done.started or 0) <= (done.ended or 0) - 0.3
    assert (done.max_memory_mb or 0) > 1
    assert whisk.platform.in_flight("guest") == 0
    assert whisk.platform.outcome(activation_id) == done
    assert whisk.ask().cold_start is False


def test_an_unknown_activation(whisk: Bench) -> None:
    assert whisk.platform.outcome("0" * 32) is None
    assert whisk.wait("0" * 32) is None


@pytest.mark.parametrize(
    ("source", "kind", "error"),
    [
        ("def main(args): raise ValueError('no')", "handler", "ValueError: no"),
        ("import time\ndef main(args): time.sleep(20)", "timeout", "limit of 0.3 s"),
        (
            "def main(args): return {'n': len(bytearray(b'x') * (400 << 20)), 't': __import__('time').sleep(5)}",
            "memory",
            "256 MB",
        ),
        ("import os\ndef main(args): os._exit(3)", "crash", "exit code 3"),
        ("import nosuch\ndef main(args): return {}", "init", "No module named 'nosuch'"),
        ("def main(args): return {'x': 'y' * (1 << 20)}", "too_large", "limit of 1,048,576 bytes"),
    ],
)
def test_how_activations_fail(whisk: Bench, source: str, kind: str, error: str) -> None:
    whisk.put(source, timeout_s=0.3 if kind == "timeout" else 10.0)
    done = whisk.ask()
    assert done.error_kind == kind
    assert error in (done.error or "")
    assert "functions." not in (done.error or "")
    assert done.state is (ActivationState.TIMED_OUT if kind == "timeout" else ActivationState.FAILED)


def test_outcomes_are_listed_newest_first(whisk: Bench) -> None:
    whisk.put(ECHO, "a")
    whisk.put(ECHO, "b")
    ids = [whisk.ask(name=name).id for name in ("a", "b", "a")]
    assert [one.id for one in whisk.platform.outcomes("guest")] == ids[::-1]
    assert [one.id for one in whisk.platform.outcomes("guest", "a")] == [ids[2], ids[0]]
    assert whisk.platform.outcomes("other") == []


def test_a_hundred_held_calls_wait_at_once(whisk: Bench) -> None:
    whisk.put("def main(args): return args")

    async def all_of_them() -> list[Outcome | None]:
        ids = [whisk.start({"i": i}) for i in range(100)]
        return await asyncio.gather(*(whisk.platform.finished(one) for one in ids))

    answers = [json.loads(one.answer)["i"] for one in asyncio.run(all_of_them()) if one is not None]
    assert answers == list(range(100))


def test_large_requests_and_answers(tmp_path: Path) -> None:
    limits = replace(DEFAULTS["openwhisk"], max_request=40 << 20, max_response=40 << 20)
    with bench("openwhisk", tmp_path, limits) as whisk:
        whisk.put("def main(args): return args", memory_mb=1024)
        done = whisk.ask({"x": "y" * (8 << 20)})
        assert len(done.answer) > 8 << 20
        assert whisk.platform.outcome(done.id) == done


# --- what a function sees ----------------------------------------------------------------------------------------------
def test_a_function_sees_nothing_of_this_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDKEEPER_CACHE", "/cache")
    monkeypatch.setenv("SECRET_OF_THE_HOST", "s3cret")
    with bench("openwhisk", tmp_path / "ow") as whisk:
        whisk.put(
            "import os\ndef main(args): return {'env': dict(os.environ), 'cwd': os.listdir(), 'home': os.listdir(os.environ['HOME'])}",
            environment={"MINE": "1"},
        )
        seen = json.loads(whisk.ask().answer)
    assert seen["env"]["MINE"] == "1"
    assert seen["env"]["HOME"] != os.environ.get("HOME")
    assert not {"FEDKEEPER_CACHE", "SECRET_OF_THE_HOST"} & set(seen["env"])
    assert (seen["cwd"], seen["home"]) == ([], [])


def test_functions_with_the_same_zip_share_no_process(whisk: Bench) -> None:
    source = "import os\nseen = []\ndef main(args):\n    seen.append(1)\n    return {'pid': os.getpid(), 'seen': len(seen)}"
    answers = []
    for name in ("a", "b", "a"):
        whisk.put(source, name) if whisk.platform.get("guest", name) is None else None
        answers.append(json.loads(whisk.ask(name=name).answer))
    assert [one["seen"] for one in answers] == [1, 1, 2]
    assert answers[0]["pid"] != answers[1]["pid"]


def test_fedkeepers_invokers_do_not_keep_others_from_running(tmp_path: Path) -> None:
    manifest = {"fedkeeper_function.json": json.dumps({"role": "fl_invoker"})}
    with bench("openwhisk", tmp_path, workers=1) as whisk:
        whisk.put("import time\ndef main(args):\n    time.sleep(5)\n    return {}", "invoker", files=manifest)
        whisk.put(ECHO, "client")
        whisk.start(name="invoker")
        assert whisk.wait(whisk.start(name="client"), 4) is not None


# --- restart -----------------------------------------------------------------------------------------------------------
def test_functions_and_outcomes_survive_a_restart(tmp_path: Path) -> None:
    with bench("openwhisk", tmp_path) as whisk:
        stored = whisk.put("def main(args): return {'x': 'y' * args['n']}", environment={"A": "1"})
        done = [whisk.ask({"n": n}) for n in (3, 100_000)]
        whisk.put("import time\ndef main(args): time.sleep(30)", "slow")
        lost = whisk.start(name="slow")
    with bench("openwhisk", tmp_path) as whisk:
        assert whisk.platform.get("guest", "f") == stored
        assert [whisk.platform.outcome(one.id) for one in done] == done
        assert json.loads(whisk.ask({"n": 2}).answer) == {"x": "yy"}
        ended = whisk.platform.outcome(lost)
        assert ended is not None
        assert (ended.state, ended.error_kind) == (ActivationState.FAILED, "crash")
        assert len(whisk.platform.outcomes("guest")) == 4


def test_the_local_platforms_part_can_be_lost(tmp_path: Path) -> None:
    with bench("openwhisk", tmp_path) as whisk:
        whisk.put(ECHO)
        whisk.platform._local.delete("guest%2Ff")
    with bench("openwhisk", tmp_path) as whisk:
        assert json.loads(whisk.ask({"a": 1}).answer) == {"got": {"a": 1}}


def test_a_damaged_function_keeps_nobody_from_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with bench("openwhisk", tmp_path) as whisk:
        whisk.put(ECHO, "good")
        whisk.put(ECHO + "  # another zip", "bad", timeout_s=300)
    digest = json.loads((tmp_path / "functions" / "guest%2Fbad.json").read_text())["zip"]
    (tmp_path / "zips" / f"{digest}.zip").unlink()
    with bench("openwhisk", tmp_path) as whisk:
        assert json.loads(whisk.ask({"a": 1}, "good").answer) == {"got": {"a": 1}}
    assert "bad cannot be restored" in caplog.text


def test_what_the_local_platform_has_too_much_is_dropped(tmp_path: Path) -> None:
    with bench("openwhisk", tmp_path) as whisk:
        whisk.put(ECHO)
        whisk.put(ECHO, "cut-short")
        (tmp_path / "functions" / "guest%2Fcut-short.json").unlink()
    with bench("openwhisk", tmp_path) as whisk:
        assert [one.name for one in whisk.platform.list("guest")] == ["f"]
        assert list(whisk.platform._local.functions("emulator")) == ["guest%2Ff"]


def test_files_are_for_this_user_alone(tmp_path: Path) -> None:
    with bench("openwhisk", tmp_path / "ow") as whisk:
        whisk.put(ECHO, environment={"TOKEN": "s3cret"})
        whisk.ask()
    assert (tmp_path / "ow").stat().st_mode & 0o077 == 0
    for folder in ("functions", "outcomes", "zips"):
        (file,) = (tmp_path / "ow" / folder).iterdir()
        assert file.stat().st_mode & 0o077 == 0


# --- history -----------------------------------------------------------------------------------------------------------
def ended(number: int, answer: bytes = b"{}") -> Outcome:
    return Outcome(f"{number:032x}", "s", "f", ActivationState.SUCCEEDED, answer, ended=float(number))


def test_history_keeps_so_many(tmp_path: Path) -> None:
    kept = History(tmp_path, keep=3)
    for number in range(10):
        kept.begin(f"{number:032x}", "s", "f")
        kept.end(ended(number))
    kept.close()
    assert [int(one.id, 16) for one in kept.newest("s", None)] == [9, 8, 7]
    assert kept.get(f"{1:032x}") is None
    assert sorted(int(path.name, 16) for path in (tmp_path / "outcomes").iterdir()) == [7, 8, 9]


def test_history_keeps_so_many_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "KEPT_BYTES", 250_000)
    kept = History(tmp_path, keep=100)
    for number in range(5):
        kept.begin(f"{number:032x}", "s", "f")
        kept.end(ended(number, b"x" * 100_000))
    kept.close()
    assert [int(one.id, 16) for one in kept.newest("s", None)] == [4, 3]
    assert kept.get(f"{4:032x}") == ended(4, b"x" * 100_000)


def test_history_passes_over_damaged_files(tmp_path: Path) -> None:
    kept = History(tmp_path, keep=10)
    kept.begin(ended(1).id, "s", "f")
    kept.end(ended(1))
    kept.close()
    (tmp_path / "outcomes" / ("f" * 32)).write_bytes(b"{cut sho")
    (tmp_path / "outcomes" / ".new").write_bytes(b"")
    again = History(tmp_path, keep=10)
    again.close()
    assert again.newest("s", None) == [ended(1)]
    assert not (tmp_path / "outcomes" / ".new").exists()


def test_an_outcome_that_nobody_began_is_not_told(tmp_path: Path) -> None:
    kept = History(tmp_path, keep=10)
    kept.end(ended(1))
    kept.close()
    assert kept.get(ended(1).id) is None


# --- limits ------------------------------------------------------------------------------------------------------------
def test_a_specs_clusters_raise_limits_and_never_lower_them() -> None:
    raised = OpenWhiskLimits().from_settings(
        [
            {"max_request": 20 << 20, "max_memory": 128, "max_timeout": 900.0, "invocations_per_minute": 6000},
            {"max_response": 5 << 20},
        ]
    )
    assert (raised.max_request, raised.max_response, raised.max_memory_mb) == (20 << 20, 5 << 20, 512)
    assert (raised.max_timeout_s, raised.invocations_per_minute) == (900.0, 6000)
    assert OpenWhiskLimits().from_settings([{"invocations_per_minute": None}]).invocations_per_minute is None
    assert OpenWhiskLimits().from_settings([]) == OpenWhiskLimits()
    assert GoogleLimits().from_settings([{"max_concurrency": 1000, "invocations_per_minute": 5}]).max_concurrency == 1000


def test_what_only_the_vendor_can_raise_stays() -> None:
    assert AwsLimits().from_settings([{"max_request": 100 << 20, "max_timeout": 5000.0, "max_memory": 99999}]) == AwsLimits()
    assert AwsLimits().from_settings([{"max_concurrency": 5000}]).max_concurrency == 5000
    assert GoogleLimits().from_settings([{"max_request": 100 << 20}]).max_request == 32 << 20
