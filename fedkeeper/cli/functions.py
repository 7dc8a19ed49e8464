"""Verbs about one function or one model: invoke, export."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from fedkeeper.cli.session import Session, standard
from fedkeeper.errors import UsageError
from fedkeeper.model import Json

_FORMATS = ("safetensors", "keras")


@click.command("invoke", short_help="Call one deployed function and print its answer.")
@click.argument("function")
@click.option("--params", metavar="FILE", help="A JSON file with the parameters; - reads them from stdin.")
@click.option("--cluster", metavar="NAME", help="On this cluster; the first that has the function otherwise.")
@standard()
def invoke(session: Session, function: str, params: str | None, cluster: str | None) -> None:
    """Call FUNCTION, by its role (fl_client, nodeinfo, ...) or its full name, and print its answer as JSON."""
    reply = session.fabric().invoke(function, read_params(params), cluster=cluster)
    data = {"result": reply.result, "activation_id": reply.activation_id, "body_bytes": len(reply.body)}
    session.show(data, lambda: json.dumps(reply.result, indent=2, ensure_ascii=False))
    if reply.body:
        session.say(f"and {len(reply.body):,} bytes, which are not shown")


def read_params(source: str | None) -> dict[str, Json]:
    """A JSON object from a file or stdin."""
    if source is None:
        return {}
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text("utf-8")
        value = json.loads(text)
    except OSError as exc:
        raise UsageError(f"--params: cannot read {source}: {exc.strerror}") from exc
    except ValueError as exc:  # not JSON, or not UTF-8
        raise UsageError(f"--params: {source} is not JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise UsageError(f"--params: {source} holds no JSON object", hint='parameters look like {"name": value}')
    return value


@click.command("export", short_help="Write a run's model to a file.")
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--to", "target", metavar="PATH", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file.")
@click.option("--format", "fmt", type=click.Choice(_FORMATS), help="Taken from the file's name otherwise.")
@standard(stored=True)
def export(session: Session, run_id: str | None, target: Path, fmt: str | None) -> None:
    """Write the last model of RUN (the latest one by default) to a file."""
    chosen = fmt or format_of(target)
    written = session.fabric_of(run_id).export(run_id, target, chosen)
    session.show({"file": written, "format": chosen}, lambda: str(written))


def format_of(target: Path) -> str:
    suffix = target.suffix.removeprefix(".")
    if suffix in _FORMATS:
        return suffix
    raise UsageError(f"{target}: the name does not tell the format", hint="--format safetensors or --format keras")
