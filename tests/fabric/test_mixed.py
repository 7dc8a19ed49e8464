"""One server, clients on four platforms: the same model as on one, nothing left behind, and no loss when a platform is lost."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fedkeeper.emulator.limits import OpenWhiskLimits
from fedkeeper.errors import RunFailed
from fedkeeper.testing.emulated import Emulated, emulated
from fedkeeper.wiring import House
from tests.fabric.mixed import RAISED, all_local, fabric, mixed_spec, project

pytestmark = pytest.mark.timeout(240)


def functions(emulator: Emulated) -> dict[str, int]:
    return {kind: platform.count() for kind, platform in emulator.platforms.items()}


@pytest.fixture(scope="module")
def local_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = project(tmp_path_factory.mktemp("local"), all_local(mixed_spec()))
    made.deploy()
    run = made.start()
    made.remove()
    return run.model


def test_the_mixed_run_ends_with_the_model_of_the_local_one(tmp_path: Path, local_model: str) -> None:
    with fabric(tmp_path, mixed_spec()) as (made, emulator):
        assert functions(emulator) == {"openwhisk": 2, "google": 2, "aws": 2}
        assert made.plan().changes == 0
        run = made.start()
        assert run.model == local_model
        assert run.activations["failed"] == 0
        assert {row["client"] for row in _clients(run.folder)} == {
            f"{g}-{n}" for g in ("edge", "openwhisk", "google", "aws") for n in (0, 1)
        }
        made.remove()
        assert functions(emulator) == {"openwhisk": 0, "google": 0, "aws": 0}


def test_functions_deleted_behind_our_back_are_created_again(tmp_path: Path, local_model: str) -> None:
    with fabric(tmp_path, mixed_spec()) as (made, emulator):
        with House(made.spec, made.environ) as somebody_else:
            for cluster, function in (("invasic", "openwhisk-1"), ("gcf", "google-0"), ("lambda", "aws-1")):
                somebody_else.provider(made.spec.clusters[cluster]).delete(f"mixed-fl_client-{function}")
        assert functions(emulator) == {"openwhisk": 1, "google": 1, "aws": 1}
        run = made.start()
        assert run.model == local_model
        recreated = {e["cluster"] for e in made.events(run.run)[1] if e["type"] == "recreated"}
        assert recreated == {"invasic", "gcf", "lambda"}


def test_a_platform_that_is_lost_does_not_lose_the_run(tmp_path: Path, local_model: str) -> None:
    """All three clouds go away in the middle; the run stops with a reason, and goes on when they are back."""
    spec = mixed_spec()
    spec["scenarios"]["federated_learning"]["training"]["retries"] = 1
    with emulated(tmp_path / "emulator", limits=RAISED) as emulator:
        made = project(tmp_path / "project", spec, emulator.environ)
        made.deploy()
        port = int(emulator.base_url.rpartition(":")[2])
        lost = threading.Event()

        class Watcher:
            def on_events(self, events: list[dict[str, object]]) -> None:
                if any(event["type"] == "committed" for event in events):
                    lost.set()

            def on_tick(self, waiting_for: str) -> None: ...

            def close(self) -> None: ...

        failures: list[BaseException] = []
        runner = threading.Thread(target=_start, args=(made, Watcher(), failures))
        runner.start()
        assert lost.wait(60)
    runner.join(120)
    assert [type(failure) for failure in failures] == [RunFailed]
    assert "Unreachable" in str(failures[0]) or "ActivationFailed" in str(failures[0])
    with emulated(tmp_path / "emulator", limits=RAISED, port=port):
        assert made.resume().model == local_model
        made.remove()


def test_a_namespace_at_its_rate_is_paced_and_loses_nothing(tmp_path: Path, local_model: str) -> None:
    """Six invocations at four a minute (of the clock): the run must end in a later minute than it began."""
    slow = {**RAISED, "openwhisk": OpenWhiskLimits(invocations_per_minute=4)}
    with fabric(tmp_path, mixed_spec(rounds=3), slow) as (made, _):
        if time.time() % 60 > 45:
            time.sleep(60 - time.time() % 60)  # not so late that the next minute would come anyway
        began = time.time()
        run = made.start()
        assert time.time() // 60 > began // 60
        assert run.model == local_model
        assert run.activations["failed"] == 0


def test_a_payload_over_the_platforms_limit_is_refused_by_name(tmp_path: Path) -> None:
    """The spec says 1 MB; the platform was set to less behind its back."""
    small = {**RAISED, "openwhisk": replace(RAISED["openwhisk"], max_request=20_000)}
    spec = mixed_spec(rounds=1)
    spec["scenarios"]["federated_learning"]["training"]["retries"] = 0
    with fabric(tmp_path, spec, small) as (made, _), pytest.raises(RunFailed, match="max_request"):
        made.start()


def _start(made: object, watcher: object, failures: list[BaseException]) -> None:
    try:
        made.start(observers=[watcher])  # type: ignore[attr-defined]
    except BaseException as exc:
        failures.append(exc)


def _clients(folder: Path) -> list[dict[str, str]]:
    import csv

    return list(csv.DictReader((folder / "clients.csv").read_text().splitlines()))
