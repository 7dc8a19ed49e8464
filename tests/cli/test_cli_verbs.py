"""What each verb asks of the facade and prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fedkeeper.cli.running import overrides
from fedkeeper.cli.session import Toolbox
from fedkeeper.deploy.plan import Action, Plan
from fedkeeper.errors import UsageError
from fedkeeper.nodes import NodeInfo
from fedkeeper.providers.base import Reply
from tests.observe.ledgers import plain_run, rough_run

GOLDEN = Path(__file__).parent / "golden"
FIVE = Plan(
    (
        Action("create", "demo-fl_client", "edge", "not there yet"),
        Action("update", "demo-fl_server_init", "laptop", "code or settings changed"),
        Action("keep", "demo-fl_evaluator", "laptop", "up to date"),
        Action("delete", "demo-old", "edge", "no longer in the spec"),
    ),
    ("the payload leaves little room",),
)


@pytest.fixture
def shows(golden: Callable[[Path, str], None]) -> Callable[[str, str], None]:
    """Compare with a golden file; spaces at the ends of lines do not count."""
    return lambda name, text: golden(GOLDEN / name, "".join(line.rstrip() + "\n" for line in text.splitlines()))


# --- functions ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("verb", ["plan", "deploy"])
def test_plan_and_deploy_show_a_line_per_function(fedkeeper, shows, verb: str) -> None:
    fedkeeper.fabric.planned = FIVE
    done = fedkeeper(verb)
    assert done.exit_code == 0
    shows(f"{verb}.txt", done.stdout)
    assert "warning: the payload leaves little room" in done.stderr


def test_deploy_in_a_pipe_says_how_far_it_is(fedkeeper) -> None:
    fedkeeper.fabric.planned = FIVE
    assert "deploying 2/3: demo-fl_server_init on laptop\n" in fedkeeper("deploy").stderr
    assert fedkeeper("deploy", "-q").stderr == ""


def test_nothing_to_change(fedkeeper) -> None:
    fedkeeper.fabric.planned = Plan(tuple(Action("keep", f"f{i}", "laptop", "up to date") for i in range(6)))
    assert fedkeeper("deploy").stdout.splitlines()[-1] == "nothing to change: 6 functions are up to date"


def test_hundreds_of_functions_list_the_changed_ones_only(fedkeeper) -> None:
    keeps = [Action("keep", f"f{i}", "laptop", "up to date") for i in range(300)]
    fedkeeper.fabric.planned = Plan((*keeps, Action("create", "new", "laptop", "not there yet")))
    assert len(fedkeeper("deploy").stdout.splitlines()) == 2
    assert fedkeeper("deploy").stdout.splitlines()[-1] == "1 created, 300 up to date"
    assert len(fedkeeper("deploy", "-v").stdout.splitlines()) == 302


def test_plan_as_json(fedkeeper) -> None:
    fedkeeper.fabric.planned = FIVE
    data = json.loads(fedkeeper("plan", "--json").stdout)
    assert data["changes"] == 3
    assert data["actions"][0] == {"kind": "create", "function": "demo-fl_client", "cluster": "edge", "reason": "not there yet"}


def test_remove(fedkeeper) -> None:
    fedkeeper.fabric.planned = Plan((Action("delete", "f", "laptop", "no longer in the spec"),))
    assert fedkeeper("remove").stdout.splitlines()[-1] == "1 deleted"
    fedkeeper.fabric.planned = Plan(())
    assert fedkeeper("remove").stdout == "nothing to change: there are no functions\n"


def test_invoke_reads_parameters_from_a_file_or_stdin(fedkeeper) -> None:
    file = fedkeeper.folder / "p.json"
    file.write_text('{"a": 1}')
    assert json.loads(fedkeeper("invoke", "nodeinfo", "--params", str(file)).stdout) == {"weights": "done"}
    fedkeeper("invoke", "nodeinfo", "--params", "-", "--cluster", "edge", text='{"b": 2}')
    fedkeeper("invoke", "nodeinfo")
    assert fedkeeper.fabric.calls == [
        ("invoke", "nodeinfo", {"a": 1}, None), ("invoke", "nodeinfo", {"b": 2}, "edge"), ("invoke", "nodeinfo", {}, None),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["[1]", "{", ""])
def test_invoke_refuses_what_is_no_json_object(fedkeeper, text: str) -> None:
    done = fedkeeper("invoke", "nodeinfo", "--params", "-", text=text)
    assert done.exit_code == 2
    assert "--params: -" in done.stderr


def test_invoke_does_not_print_bytes(fedkeeper) -> None:
    fedkeeper.fabric.reply = Reply({}, b"x" * 2000, "a1")
    assert json.loads(fedkeeper("invoke", "f", "--json").stdout) == {"result": {}, "activation_id": "a1", "body_bytes": 2000}
    assert "2,000 bytes" in fedkeeper("invoke", "f").stderr


# --- runs --------------------------------------------------------------------------------------------------------------
def test_start_shows_the_result_on_stdout_and_the_story_on_stderr(fedkeeper, shows) -> None:
    fedkeeper.fabric.script = rough_run()
    done = fedkeeper("start")
    assert done.exit_code == 0
    shows("start.out.txt", done.stdout)
    assert "warning: client c2 on edge: attempt 1 lost: unknown id; next attempt in 0.500 s" in done.stderr
    assert fedkeeper.fabric.calls == [("start", "demo-1")]
    assert fedkeeper("start", "-q").stderr == ""


def test_start_as_json_is_one_document(fedkeeper) -> None:
    fedkeeper.fabric.script = plain_run(2, 4)
    data = json.loads(fedkeeper("start", "--json", "--run-id", "mine").stdout)
    assert (data["rounds"], data["accuracy"], data["folder"]) == (2, 0.75, "logs/demo-1")
    assert fedkeeper.fabric.calls == [("start", "mine")]


def test_start_passes_overrides_on(fedkeeper) -> None:
    fedkeeper.fabric.script = plain_run(1, 1)
    fedkeeper("start", "--rounds", "5", "--seed", "7", "--set", "training.epochs=2", "--set", "a.b=x=y")
    assert fedkeeper.fabric.overrides == (
        ("training.rounds", "5"), ("training.seed", "7"), ("training.epochs", "2"), ("a.b", "x=y"),
    )  # fmt: skip


@pytest.mark.parametrize("setting", ["training.rounds", "=5", ""])
def test_set_needs_key_and_value(setting: str) -> None:
    with pytest.raises(UsageError, match="KEY=VALUE is expected"):
        overrides(None, None, (setting,))


def test_stop_status_runs_resume(fedkeeper, shows) -> None:
    fedkeeper.fabric.script = rough_run()
    assert fedkeeper("stop").stdout == "run demo-1 will end after the round it is in\n"
    shows("status.txt", fedkeeper("status").stdout)
    shows("runs.txt", fedkeeper("runs").stdout)
    assert json.loads(fedkeeper("runs", "--json").stdout)["runs"][0]["state"] == "finished"
    assert json.loads(fedkeeper("status", "--json").stdout)["stop_reason"] == "target_accuracy"
    assert "target accuracy reached" in fedkeeper("resume", "demo-1").stdout
    assert fedkeeper.fabric.calls == [("start", "demo-1")]


def test_status_of_a_run_that_was_interrupted(fedkeeper, shows) -> None:
    fedkeeper.fabric.script = rough_run()[:14]
    fedkeeper.fabric.state = "unfinished"
    shows("status-unfinished.txt", fedkeeper("status").stdout)


def test_an_unknown_run(fedkeeper) -> None:
    done = fedkeeper("status", "nosuch")
    assert (done.exit_code, done.stderr) == (6, "error: there is no run nosuch\nhint: `fedkeeper runs` lists the runs\n")


def test_no_runs_yet(fedkeeper) -> None:
    assert fedkeeper("runs").stdout == "no runs yet; `fedkeeper start` begins one\n"


def test_logs_filter_by_client_and_round(fedkeeper) -> None:
    fedkeeper.fabric.script = rough_run()
    assert len(fedkeeper("logs").stdout.splitlines()) == 28
    assert fedkeeper("logs", "--tail", "1").stdout.split(" ", 1)[1].startswith("INFO    finished after 2 rounds")
    assert fedkeeper("logs", "--client", "c2", "--round", "1").stdout.splitlines() == [
        "2023-11-14T22:13:23.900Z WARNING client c2 on edge: attempt 1 lost: unknown id; next attempt in 0.500 s",
        "2023-11-14T22:14:23.900Z INFO    client c2 on edge: done in 2.0 s (600 examples, loss 0.5000, accuracy 0.5000, cold start)",
        "--- round 1, attempt 1, activation act-r0001/train-c2-1 ---",
        "hello from act-r0001/train-c2-1 on edge",
    ]


def test_logs_of_an_activation(fedkeeper) -> None:
    fedkeeper.fabric.script = rough_run()
    assert fedkeeper("logs", "--activation", "act-r0001/train-c0-1").stdout == "hello from act-r0001/train-c0-1 on laptop\n"
    done = fedkeeper("logs", "--activation", "nosuch")
    assert (done.exit_code, "activations.csv" in done.stderr) == (2, True)
    assert fedkeeper("logs", "--client", "nosuch").exit_code == 2


def test_logs_of_a_relayed_client_come_from_its_own_cluster(fedkeeper) -> None:
    events = rough_run()
    for event in events:
        if event["type"] == "ended" and event["subject"] == "c3":
            event["client_activation_id"] = "far"
    fedkeeper.fabric.script = events
    assert fedkeeper("logs", "--activation", "far").stdout == "hello from far on edge\n"


@pytest.mark.parametrize(
    ("words", "fmt"), [(["--to", "m.safetensors"], "safetensors"), (["--to", "m.bin", "--format", "keras"], "keras")]
)
def test_export(fedkeeper, words: list[str], fmt: str) -> None:
    assert fedkeeper("export", *words).stdout == f"{words[1]}\n"
    assert fedkeeper.fabric.calls == [("export", None, fmt)]


def test_export_needs_a_format(fedkeeper) -> None:
    assert fedkeeper("export", "--to", "m.bin").exit_code == 2


# --- project -----------------------------------------------------------------------------------------------------------
def test_check_says_what_the_spec_holds(fedkeeper) -> None:
    assert fedkeeper("check").stdout == (
        f"{fedkeeper.config} is valid: fabric demo, 4 clients, 2 rounds of fedavg; "
        "clusters laptop (local, 2 clients), edge (openwhisk, 2 clients)\n"
    )
    assert json.loads(fedkeeper("check", "--json").stdout)["clusters"] == {"laptop": "local", "edge": "openwhisk"}


def test_check_deploy_tries_the_chosen_clusters(fedkeeper) -> None:
    up = NodeInfo(
        "laptop", "local", ok=True, host="h", platform="linux", cpus=2, memory_mb=2048, latency_ms=3.2, cold_start_ms=812.6
    )
    fedkeeper.fabric.nodes = [up]
    done = fedkeeper("check", "--deploy", "--cluster", "laptop", "--function", "nodeinfo", "--function", "fl_client")
    assert done.exit_code == 0
    assert [call[1]["function"] for call in fedkeeper.fabric.calls] == ["nodeinfo", "fl_client"]
    assert fedkeeper.fabric.calls[0][1] == {"clusters": ("laptop",), "providers": (), "function": "nodeinfo"}


def test_check_deploy_fails_when_a_cluster_does(fedkeeper, shows) -> None:
    up = NodeInfo(
        "laptop", "local", ok=True, host="h", platform="linux", cpus=2, memory_mb=2048, latency_ms=3.2, cold_start_ms=812.6
    )
    fedkeeper.fabric.nodes = [up, NodeInfo("edge", "openwhisk", ok=False, error="nobody\nanswers")]
    done = fedkeeper("check", "--deploy")
    assert done.exit_code == 5
    shows("check-deploy.txt", done.stdout)
    assert "error: 1 of 2 clusters failed: edge" in done.stderr
    as_json = fedkeeper("check", "--deploy", "--json")
    assert as_json.exit_code == 5
    assert [node["ok"] for node in json.loads(as_json.stdout)["nodes"]] == [True, False]


def test_check_filters_need_deploy(fedkeeper) -> None:
    assert fedkeeper("check", "--cluster", "edge").exit_code == 2


@pytest.fixture
def samples(tmp_path: Path) -> Toolbox:
    folder = tmp_path / "samples"
    (folder / "tasks").mkdir(parents=True)
    for name in ("config.yaml", "project.md", "gitignore.txt", "tasks/digits.py"):
        (folder / name).write_text(f"# {name}\n")
    return Toolbox(samples=lambda: folder)


def test_init_writes_a_project_and_refuses_to_overwrite_it(fedkeeper, samples: Toolbox, tmp_path: Path) -> None:
    target = tmp_path / "new" / "project"
    done = fedkeeper.bare("init", str(target), tools=samples)
    assert done.exit_code == 0, done.stderr
    assert {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()} == {
        "config.yaml", "README.md", ".gitignore", "tasks/digits.py",
    }  # fmt: skip
    (target / "config.yaml").write_text("mine")
    refused = fedkeeper.bare("init", str(target), tools=samples)
    assert refused.exit_code == 2
    assert "config.yaml" in refused.stderr
    assert (target / "config.yaml").read_text() == "mine"
    assert fedkeeper.bare("init", str(target), "--force", "--json", tools=samples).exit_code == 0
    assert (target / "config.yaml").read_text() == "# config.yaml\n"


def test_init_where_nothing_can_be_written(fedkeeper, samples: Toolbox, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert fedkeeper.bare("init", str(tmp_path / "file" / "x"), tools=samples).exit_code == 2


def test_schema_is_json(fedkeeper) -> None:
    assert json.loads(fedkeeper.bare("schema").stdout) == json.loads(fedkeeper.bare("schema", "--json").stdout)


def test_upgrade_prints_the_new_spec_and_warns(fedkeeper) -> None:
    olds = sorted((Path(__file__).parents[1] / "spec" / "upgrade").rglob("*.yaml"))
    done = fedkeeper.bare("upgrade", str(olds[0]))
    assert done.exit_code == 0, done.stderr
    assert "version: 1" in done.stdout
    assert json.loads(fedkeeper.bare("upgrade", str(olds[0]), "--json").stdout)["spec"].rstrip("\n") == done.stdout.rstrip("\n")
    assert fedkeeper.bare("upgrade", "no-such-file").exit_code == 2


def test_help_lists_the_verbs(fedkeeper, shows) -> None:
    shows("help.txt", fedkeeper.bare("--help").stdout)
    assert fedkeeper.bare().stdout == fedkeeper.bare("--help").stdout
