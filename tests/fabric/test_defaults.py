"""At the limits the platforms document: a payload is refused by name, a rate is kept by waiting, and the run loses nothing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from fedkeeper.emulator.limits import DEFAULTS
from fedkeeper.errors import RunFailed, SpecError
from tests.fabric.mixed import all_local, fabric, mixed_spec, project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def default_spec(**changes: Any) -> dict[str, Any]:
    """The mixed example without the limits it raises."""
    spec = mixed_spec(**changes)
    for name in ("invocations_per_minute", "max_concurrency"):
        del spec["providers"]["openwhisk"]["invasic"][name]
    del spec["providers"]["google"]["gcf"]["writes_per_minute"]
    return spec


def test_the_rate_of_a_namespace_is_waited_out(tmp_path: Path) -> None:
    """18 rounds with 8 OpenWhisk clients are 144 invocations; a namespace has 120 a minute."""
    spec = default_spec(each=1, rounds=18)
    spec["scenarios"]["federated_learning"]["clients"]["groups"][1]["count"] = 8
    spec["scenarios"]["federated_learning"]["training"]["evaluate_every"] = 18
    with fabric(tmp_path, spec, DEFAULTS) as (made, _):
        if time.time() % 60 > 25:
            time.sleep(60 - time.time() % 60)
        began = time.time()
        run = made.start()
        ended = time.time()
    local = project(tmp_path / "local", all_local(spec))
    local.deploy()
    assert run.model == local.start().model
    assert run.activations["failed"] == 0
    assert ended // 60 > began // 60, "144 invocations do not fit into a minute of 120"


def test_a_model_over_the_documented_payload_is_refused_before_and_at_the_call(tmp_path: Path) -> None:
    """300,000 parameters are 1.2 MB, 1.6 MB in base64; OpenWhisk takes 1 MB. Declared, the spec says so; undeclared, the adapter."""
    spec = default_spec(each=1, rounds=1)
    spec["scenarios"]["federated_learning"]["training"] |= {"retries": 0, "task": "numpy/tasks/large.py"}
    body = (Path(__file__).parents[2] / "examples" / "numpy" / "tasks" / "softmax.py").read_text()
    large = body.replace("PARAMETERS = 7_850\n", "").replace(
        '"bias": np.zeros(10', '"spare": np.zeros(300_000, np.float32), "bias": np.zeros(10'
    )
    for declared in ("PARAMETERS = 307_850\n", ""):
        folder = tmp_path / ("declared" if declared else "undeclared")
        (folder / "project" / "numpy" / "tasks").mkdir(parents=True)
        (folder / "project" / "numpy" / "tasks" / "large.py").write_text(
            large.replace("REQUIREMENTS", declared + "REQUIREMENTS", 1)
        )
        if declared:
            with pytest.raises(SpecError) as refused, fabric(folder, spec, DEFAULTS):
                pass
            assert "max_request" in refused.value.problems[0].hint
            assert "1.0 MB" in refused.value.problems[0].message
        else:
            with (
                fabric(folder, spec, DEFAULTS) as (made, _),
                pytest.raises(RunFailed, match=r"providers\.openwhisk.*max_request"),
            ):
                made.start()
