"""A hundred client functions on three platforms: seconds, progress, a kill in the middle, and nothing left after `remove`."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fedkeeper.errors import PackageError
from fedkeeper.testing.emulated import Emulated, emulated
from tests.fabric.mixed import RAISED, mixed_spec, project
from tests.flow.projects import begin_command, result_of, run_command

pytestmark = pytest.mark.timeout(240)
EACH = 34


def count(emulator: Emulated) -> int:
    return sum(platform.count() for platform in emulator.platforms.values())


def test_a_hundred_functions_survive_a_kill_in_the_middle_of_deploy(tmp_path: Path) -> None:
    with emulated(tmp_path / "emulator", limits=RAISED) as emulator:
        folder = tmp_path / "project"
        project(folder, mixed_spec(each=EACH), emulator.environ)
        process = begin_command(folder, "deploy", extra=emulator.environ)
        while count(emulator) < 15:
            assert process.poll() is None, (folder / "err.txt").read_text()
            time.sleep(0.01)
        process.kill()
        process.wait()
        made = count(emulator)
        assert 15 <= made < 3 * EACH
        assert run_command(folder, "start", check=False, extra=emulator.environ).returncode == 4
        done = run_command(folder, "deploy", "--json", extra=emulator.environ)
        kinds = [action["kind"] for action in result_of(done)["actions"]]
        assert kinds.count("keep") + kinds.count("update") >= made - 8
        assert count(emulator) == 3 * EACH
        assert "deploying 20/" in done.stderr
        assert result_of(run_command(folder, "deploy", "--json", extra=emulator.environ))["changes"] == 0
        run_command(folder, "remove", extra=emulator.environ)
        assert count(emulator) == 0


def test_tensorflow_in_a_lambda_zip_is_refused_by_the_plan_before_anything_is_deployed(tmp_path: Path) -> None:
    spec = mixed_spec()
    spec["scenarios"]["federated_learning"]["training"]["task"] = "mnist-mlp"
    with emulated(tmp_path / "emulator", limits=RAISED) as emulator:
        # big enough for the model everywhere: the zip is what does not fit
        for provider, cluster in (("openwhisk", "invasic"), ("google", "gcf")):
            spec["providers"][provider][cluster] |= {"max_request": "8MB", "max_response": "8MB"}
        made = project(tmp_path / "project", spec, emulator.environ)
        for verb in (made.plan, made.deploy):
            with pytest.raises(PackageError, match="does not fit a Lambda zip") as refused:
                verb()
            assert "aws.image" in refused.value.hint
        assert count(emulator) == 0
        assert not (tmp_path / "project" / ".fedkeeper" / "local" / "campus" / "functions").exists()
