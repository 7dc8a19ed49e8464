"""The verbs that watch and report: report, status --watch, logs --follow, and the estimate that plan and start print."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from fedkeeper.deploy.plan import Plan
from fedkeeper.model import Cluster
from tests.observe.ledgers import plain_run, rough_run


def pay(fedkeeper) -> None:
    """Let the clients of `edge` run on Lambda."""
    spec = fedkeeper.fabric.spec
    fedkeeper.fabric.spec = replace(spec, clusters={**spec.clusters, "edge": Cluster("edge", "aws")})


# --- report ------------------------------------------------------------------------------------------------------------
def test_report_writes_one_file_beside_the_others(fedkeeper) -> None:
    fedkeeper.fabric.script = rough_run()
    done = fedkeeper("report")
    file = fedkeeper.folder / "logs" / "demo-1" / "report.html"
    assert (done.exit_code, done.stdout) == (0, f"{file}\n")
    assert "client c3 is slow" in file.read_text()
    assert [path.name for path in file.parent.iterdir()] == ["report.html"]


def test_report_of_a_run_that_goes_on(fedkeeper) -> None:
    fedkeeper.fabric.script = rough_run()[:14]
    fedkeeper.fabric.state = "running"
    data = json.loads(fedkeeper("report", "--json", "--to", str(fedkeeper.folder / "r.html")).stdout)
    assert data["finished"] is False
    assert "has not finished" in (fedkeeper.folder / "r.html").read_text()


def test_report_exports_figures_and_curves(fedkeeper) -> None:
    fedkeeper.fabric.script = plain_run()
    pay(fedkeeper)
    prom, board = fedkeeper.folder / "run.prom", fedkeeper.folder / "board"
    data = json.loads(fedkeeper("report", "--json", "--prometheus", str(prom), "--tensorboard", str(board)).stdout)
    assert 'fedkeeper_accuracy{run="demo-1"} 0.833' in prom.read_text()
    assert Path(data["tensorboard"]).read_bytes()[:8] == (24).to_bytes(8, "little")
    assert {one["cluster"]: one["provider"] for one in data["cost"]["clusters"]} == {"laptop": "local"}


def test_report_where_nothing_can_be_written(fedkeeper) -> None:
    fedkeeper.fabric.script = plain_run()
    (fedkeeper.folder / "file").write_text("")
    for option in ("--to", "--prometheus", "--tensorboard"):
        done = fedkeeper("report", option, str(fedkeeper.folder / "file" / "x"))
        assert (done.exit_code, "cannot write" in done.stderr) == (2, True), done.stderr


def test_report_of_an_unknown_run(fedkeeper) -> None:
    assert fedkeeper("report", "nosuch").exit_code == 6


# --- watching ----------------------------------------------------------------------------------------------------------
def test_watch_tells_the_story_and_ends_with_the_status(fedkeeper) -> None:
    fedkeeper.fabric.script = rough_run()
    done = fedkeeper("status", "--watch")
    assert "warning: client c1 on laptop: attempt 1 failed: out of memory at line 3" in done.stderr
    assert "finished: target accuracy reached" in done.stdout


def test_ctrl_c_leaves_a_watched_run_without_a_word(fedkeeper) -> None:
    fedkeeper.fabric.script = plain_run()[:5]
    fedkeeper.fabric.raises = KeyboardInterrupt()
    for words in (("status", "--watch"), ("logs", "--follow")):
        done = fedkeeper(*words, "-q")
        assert (done.exit_code, done.stderr) == (130, "")


def test_followed_lines_are_those_of_the_log(fedkeeper) -> None:
    fedkeeper.fabric.script = rough_run()
    assert fedkeeper("logs", "--follow").stdout == fedkeeper("logs").stdout
    followed = fedkeeper("logs", "--follow", "--client", "c2").stdout.splitlines()
    assert len(followed) == 3
    assert all("client c2 on " in line for line in followed)


def test_follow_needs_lines(fedkeeper) -> None:
    assert fedkeeper("logs", "--follow", "--json").exit_code == 2
    assert fedkeeper("logs", "--follow", "--activation", "a").exit_code == 2


# --- the estimate ------------------------------------------------------------------------------------------------------
def test_plan_and_start_say_what_a_run_would_cost(fedkeeper) -> None:
    fedkeeper.fabric.planned, fedkeeper.fabric.script = Plan(()), plain_run(2, 4)
    pay(fedkeeper)
    line = fedkeeper("plan").stdout.splitlines()[-1]
    assert line.startswith(
        "cost: about $0.0013 (10 s per activation) to $0.0400 (all at their time limits) on edge; list prices (aws 2024)"
    )
    assert line in fedkeeper("start").stderr
    assert json.loads(fedkeeper("plan", "--json").stdout)["cost"]["clusters"] == ["edge"]
    assert json.loads(fedkeeper("start", "--json").stdout)["cost"]["high"] > 0.01


def test_who_pays_nothing_hears_nothing_of_cost(fedkeeper) -> None:
    fedkeeper.fabric.planned, fedkeeper.fabric.script = Plan(()), plain_run(2, 4)
    for verb in ("plan", "start"):
        assert "cost" not in fedkeeper(verb).output
        assert "cost" not in json.loads(fedkeeper(verb, "--json").stdout)
