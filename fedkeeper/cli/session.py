"""What every verb gets: the options all have, where to print, and the tools it works with (injected, for tests).

click context.obj: Toolbox --standard--> Session --> verb(session, ...)
"""

from __future__ import annotations

import functools
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fedkeeper.errors import SpecError, UsageError
from fedkeeper.model import Json

if TYPE_CHECKING:
    from importlib.abc import Traversable

    from rich.console import Console, RenderableType

    from fedkeeper.api import Fabric

F = TypeVar("F", bound=Callable[..., Any])
_STORE_HELP = "Take the run and its spec from this store instead, as in --store '${env:MONGO_URL}'."
_PIPE_WIDTH = 1000  # a table in a pipe is as wide as it needs to be


def _load(path: Path, *, overrides: Sequence[tuple[str, str]] = (), online: bool = False) -> Fabric:
    from fedkeeper.api import Fabric

    return Fabric.load(path, overrides=overrides, online=online)


def _of_run(store: str, run_id: str | None) -> Fabric:
    from fedkeeper.api import Fabric

    return Fabric.of_run(store, run_id)


def _samples() -> Traversable:
    from importlib.resources import files

    return files("fedkeeper.samples")


@dataclass(frozen=True)
class Toolbox:
    """The outside world of the verbs."""

    load: Callable[..., Fabric] = _load
    of_run: Callable[[str, str | None], Fabric] = _of_run
    samples: Callable[[], Traversable] = _samples


@dataclass(frozen=True)
class Session:
    """One call of one verb."""

    config: Path = Path("config.yaml")
    store: str | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    tools: Toolbox = field(default_factory=Toolbox)

    def fabric(self, overrides: Sequence[tuple[str, str]] = (), *, online: bool = False) -> Fabric:
        """The loaded spec; `online`: the addresses it names must answer."""
        if not self.config.exists():
            hint = "`fedkeeper init` writes one to start from; -c names another file"
            raise SpecError("there is no such file", file=str(self.config), hint=hint)
        return self.tools.load(self.config, overrides=overrides, online=online)

    def fabric_of(self, run_id: str | None) -> Fabric:
        """The fabric whose run is meant: the spec's, or with --store that of the run itself (the store's latest by default)."""
        return self.fabric() if self.store is None else self.tools.of_run(self.store, run_id)

    # --- stdout: data --------------------------------------------------------------------------------------------
    def show(self, data: Json, people: Callable[[], RenderableType]) -> None:
        """The verb's answer: one JSON document, or what people read."""
        if self.json:
            sys.stdout.write(json.dumps(plain(data), ensure_ascii=False) + "\n")
        else:
            console(sys.stdout).print(people(), soft_wrap=not sys.stdout.isatty())

    # --- stderr: talk --------------------------------------------------------------------------------------------
    def say(self, text: str) -> None:
        if not self.quiet:
            click.echo(text, err=True)


def console(stream: Any) -> Console:
    """Names and messages come from outside: nothing in them is markup."""
    from rich.console import Console

    class _Console(Console):
        def on_broken_pipe(self) -> None:
            """Rich would end the process here; `failures.guarded` knows better."""
            raise BrokenPipeError

    width = None if stream.isatty() else _PIPE_WIDTH
    return _Console(file=stream, markup=False, highlight=False, emoji=False, width=width)


def plain(value: Json) -> Json:
    """As JSON has it: paths are text, and what is not a number is null."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def _store_url(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """A password in the command line would be seen by every user of this machine."""
    if value is not None and "@" in value:
        raise UsageError("--store: a user name or password must not stand here", hint="write --store '${env:MONGO_URL}'")
    return value


def standard(*, config: bool = True, stored: bool = False) -> Callable[[F], Callable[..., Any]]:
    """Give a verb the options all verbs have, and a Session as its first argument. `stored`: it can do without a spec file."""

    def decorate(function: F) -> Callable[..., Any]:
        @click.pass_context
        @functools.wraps(function)
        def verb(
            ctx: click.Context, /, *, as_json: bool, quiet: bool, verbose: bool, config: str = "config.yaml",
            store: str | None = None, **given: Any,
        ) -> Any:  # fmt: skip
            tools = ctx.obj if isinstance(ctx.obj, Toolbox) else Toolbox()
            return function(Session(Path(config), store, as_json, quiet, verbose, tools), **given)

        options = [
            click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document on stdout, also on failure."),
            click.option("-q", "--quiet", is_flag=True, help="Say nothing on stderr but errors."),
            click.option("-v", "--verbose", is_flag=True, help="Say more; show the traceback of an error."),
        ]
        if config:
            options.insert(
                0, click.option("-c", "--config", metavar="FILE", default="config.yaml", show_default=True, help="The spec.")
            )
        if stored:
            options.insert(1, click.option("--store", metavar="URL", callback=_store_url, help=_STORE_HELP))
        for option in reversed(options):
            verb = option(verb)
        return verb

    return decorate
