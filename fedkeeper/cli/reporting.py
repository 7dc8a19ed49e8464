"""The verb `report`: a run's ledger as one HTML file, and as what other tools read.

ledger -> logs/<run>/report.html | --prometheus FILE | --tensorboard FOLDER
"""

from __future__ import annotations

import time
from pathlib import Path

import click

from fedkeeper.cli.session import Session, standard
from fedkeeper.model import Json

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("report", short_help="Write the report of a run: one HTML file.")
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--to", "target", metavar="FILE", type=_FILE, help="The file; logs/<run>/report.html otherwise.")
@click.option("--prometheus", metavar="FILE", type=_FILE, help="Also write the run's figures in Prometheus' text format.")
@click.option(
    "--tensorboard", metavar="FOLDER", type=click.Path(file_okay=False, path_type=Path),
    help="Also write the run's curves as an event file for TensorBoard.",
)  # fmt: skip
@standard(stored=True)
def report(session: Session, run_id: str | None, target: Path | None, prometheus: Path | None, tensorboard: Path | None) -> None:
    """Write the report of RUN (the latest one by default), finished or not, as one HTML file that needs no network.

    Memory and prices in it are those of the functions as the spec has them now.
    """
    from fedkeeper.observe import cost, export_prometheus, export_tensorboard
    from fedkeeper.observe.report.page import page, story_of, write

    fabric = session.fabric_of(run_id)
    run, events = fabric.events(run_id)
    story = story_of(events)
    running = next((one.state == "running" for one in fabric.runs() if one.run == run), False)
    view = story.view(time.time() if running else None)
    file = write(target or fabric.logs / run / "report.html", page(view, story, fabric.spec))
    spent = cost.spent(view.activations, fabric.spec)
    data: dict[str, Json] = {"run": run, "file": file, "finished": view.finished, "cost": spent.to_json()}
    if prometheus is not None:
        data["prometheus"] = write(prometheus, export_prometheus.text(view, spent))
    if tensorboard is not None:
        data["tensorboard"] = export_tensorboard.write(tensorboard, view, events)
    session.show(data, lambda: "\n".join(str(data[name]) for name in ("file", "prometheus", "tensorboard") if name in data))
