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

from fedkeeper.errors import SpecError
from fedkeeper.model import Json

if TYPE_CHECKING:
    from importlib.abc import Traversable

    from rich.console import Console, RenderableType

    from fedkeeper.api import Fabric

F = TypeVar("F", bound=Callable[..., Any])
_PIPE_WIDTH = 1000  # a table in a pipe is as wide as it needs to be


def _load(path: Path, *, overrides: Sequence[tuple[str, str]] = (), online: bool = False) -> Fabric:
    from fedkeeper.api import Fabric

    return Fabric.load(path, overrides=overrides, online=online)


def _samples() -> Traversable:
    from importlib.resources import files

    return files("fedkeeper.samples")


@dataclass(frozen=True)
class Toolbox:
    """The outside world of the verbs."""

    load: Callable[..., Fabric] = _load
    samples: Callable[[], Traversable] = _samples


@dataclass(frozen=True)
class Session:
    """One call of one verb."""

    config: Path = Path("config.yaml")
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


def standard(*, config: bool = True) -> Callable[[F], Callable[..., Any]]:
    """Give a verb the options all verbs have, and a Session as its first argument."""

    def decorate(function: F) -> Callable[..., Any]:
        @click.pass_context
        @functools.wraps(function)
        def verb(
            ctx: click.Context, /, *, as_json: bool, quiet: bool, verbose: bool, config: str = "config.yaml", **given: Any
        ) -> Any:
            tools = ctx.obj if isinstance(ctx.obj, Toolbox) else Toolbox()
            return function(Session(Path(config), as_json, quiet, verbose, tools), **given)

        options = [
            click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document on stdout, also on failure."),
            click.option("-q", "--quiet", is_flag=True, help="Say nothing on stderr but errors."),
            click.option("-v", "--verbose", is_flag=True, help="Say more; show the traceback of an error."),
        ]
        if config:
            options.insert(
                0, click.option("-c", "--config", metavar="FILE", default="config.yaml", show_default=True, help="The spec.")
            )
        for option in reversed(options):
            verb = option(verb)
        return verb

    return decorate
