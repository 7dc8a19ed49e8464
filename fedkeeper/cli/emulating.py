"""The verbs of the emulator: emulate up, down, status, env."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fedkeeper.cli.session import Session, standard
from fedkeeper.model import Json

if TYPE_CHECKING:
    from rich.table import Table

    from fedkeeper.emulator.control import Status
    from fedkeeper.emulator.daemon import Wanted

F = TypeVar("F", bound=Callable[..., Any])
_RUNTIMES = ("local", "real")


def _placed(function: F) -> F:
    """The options that say which emulator is meant."""
    config = click.option(
        "-c", "--config", "spec", metavar="FILE", help="The spec: the emulator beside it, with the limits it declares."
    )
    home = click.option(
        "--home", metavar="DIR", help="Where it keeps its state. [default: beside the spec, or ~/.fedkeeper/emulator]"
    )
    return home(config(function))


@click.group("emulate", short_help="Serve the APIs of the three clouds on this machine.")
def emulate() -> None:
    """Serve the public APIs of OpenWhisk, Google Cloud Functions and AWS Lambda on 127.0.0.1, over the local platform.

    `eval "$(fedkeeper emulate env)"` makes the vendors' own tools, and FedKeeper's clusters, find it.
    """


@emulate.command("up")
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="Port. [default: the same as before]")
@click.option(
    "--runtime", type=click.Choice(_RUNTIMES), default="local", show_default=True, help="real: the vendors' own runtimes."
)
@click.option("--workers", type=click.IntRange(1, 1024), metavar="N", help="Functions running at once, of each platform.")
@click.option("--foreground", is_flag=True, help="Stay, until Ctrl-C.")
@_placed
@standard(config=False)
def up(
    session: Session, *, port: int, runtime: str, workers: int | None, foreground: bool, spec: str | None, home: str | None
) -> None:
    """Start the emulator, unless it runs, and wait until it answers. What was deployed before is there again."""
    from fedkeeper.emulator import control, daemon, state
    from fedkeeper.emulator.core import Settings

    place = state.home_of(home, spec)
    wanted = daemon.Wanted(port, Settings(runtime, workers), _limits(session, spec))
    if foreground:
        session.say(f"the emulator runs in {place} until Ctrl-C")
        daemon.run(place, wanted)
        return
    status, started = control.up(place, wanted)
    if not started:
        session.say(f"it was already up{_differs(status, wanted)}")
    _show(session, status)
    session.say(f'for the shell: eval "$(fedkeeper emulate env{_again(home, spec)})"')


@emulate.command("down")
@_placed
@standard(config=False)
def down(session: Session, *, spec: str | None, home: str | None) -> None:
    """End the emulator and every process it started. What was deployed stays for the next `up`."""
    from fedkeeper.emulator import control, state

    place = state.home_of(home, spec)
    ended = control.down(place)
    session.show({"stopped": ended, "home": place}, lambda: "the emulator is down" if ended else f"no emulator runs in {place}")


@emulate.command("status")
@_placed
@standard(config=False)
def status(session: Session, *, spec: str | None, home: str | None) -> None:
    """Show the running emulator: address, functions, limits. Secrets are not shown; `emulate env` has them."""
    from fedkeeper.emulator import control, state

    _show(session, control.needed(state.home_of(home, spec)))


@emulate.command("env", short_help="Print the variables by which clients find the emulator.")
@_placed
@standard(config=False)
def env(session: Session, *, spec: str | None, home: str | None) -> None:
    """Print the variables by which clients find the emulator, for `eval "$(fedkeeper emulate env)"`."""
    from fedkeeper.emulator import control, state

    values = control.needed(state.home_of(home, spec)).environment
    if session.json:
        session.show(values, str)
        return
    sys.stdout.write("".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items()))


def _limits(session: Session, spec: str | None) -> dict[str, Any]:
    """The documented ones, raised to what the spec's clusters declare."""
    from fedkeeper.emulator.limits import DEFAULTS

    if spec is None:
        return dict(DEFAULTS)
    clusters = session.tools.load(Path(spec)).spec.clusters.values()
    return {
        kind: limits.from_settings([cluster.settings for cluster in clusters if cluster.provider == kind])
        for kind, limits in DEFAULTS.items()
    }


def _again(home: str | None, spec: str | None) -> str:
    """The options that mean the same emulator."""
    given = {"--home": home, "-c": spec}
    return "".join(f" {option} {shlex.quote(value)}" for option, value in given.items() if value)


def _differs(status: Status, wanted: Wanted) -> str:
    """What of the wish a running emulator does not fulfil."""
    limits = {kind: one.to_json() for kind, one in wanted.limits.items()}
    wrong = []
    if status.runtime != wanted.settings.runtime:
        wrong.append(f"runtime {status.runtime}")
    if status.limits != limits:
        wrong.append("limits")
    return f", with other {' and '.join(wrong)}: `fedkeeper emulate down` first to change that" if wrong else ""


def _show(session: Session, status: Status) -> None:
    from fedkeeper.emulator.credentials import masked

    data: Json = {
        "running": True,
        "url": status.url,
        "pid": status.pid,
        "home": status.home,
        "runtime": status.runtime,
        "uptime_s": round(status.uptime_s, 1),
        "functions": status.functions,
        "limits": status.limits,
        "environment": masked(status.environment),
    }
    session.show(data, lambda: _table(status))


def _table(status: Status) -> Table:
    from rich.table import Table

    table = Table("API", "address", "functions", "request", "memory", "timeout", "concurrency", box=None, pad_edge=False)
    table.caption = f"process {status.pid}, runtime {status.runtime}, up {status.uptime_s:.0f} s, home {status.home}"
    table.caption_justify = "left"
    for kind, limits in status.limits.items():
        size = f"{limits['max_request'] / 2**20:g} MB"
        more = [size, f"{limits['max_memory_mb']} MB", f"{limits['max_timeout_s']:g} s", str(limits["max_concurrency"])]
        table.add_row(kind, status.url, str(status.functions[kind]), *more)
    return table
