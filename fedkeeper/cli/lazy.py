"""A click group that knows its verbs by name and imports one only when it is used."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import click

from fedkeeper.cli import failures

_COMPLETE = "_FEDKEEPER_COMPLETE"


@dataclass(frozen=True)
class Verb:
    """Where a verb lives ("module:attribute"), and its line in the list of verbs."""

    target: str
    summary: str
    section: str


class LazyGroup(click.Group):
    """`verbs` in the order in which help lists them. Every error that leaves a verb becomes an exit code in `main`."""

    def __init__(self, *args: Any, verbs: Mapping[str, Verb], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.verbs = dict(verbs)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        verb = self.verbs.get(cmd_name)
        if verb is None:
            return None
        module, _, attribute = verb.target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self.verbs and not name.startswith("-") and not ctx.resilient_parsing:
            close = difflib.get_close_matches(name, self.verbs, n=1)
            meant = f"; did you mean {close[0]}?" if close else ""
            raise click.UsageError(f"there is no verb {name!r}{meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """By section, from the static summaries: listing the verbs imports none of them."""
        width = max(map(len, self.verbs))
        for section in dict.fromkeys(verb.section for verb in self.verbs.values()):
            rows = [(name.ljust(width), verb.summary) for name, verb in self.verbs.items() if verb.section == section]
            with formatter.section(section):
                formatter.write_dl(rows)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,  # noqa: ARG002 - click's signature; ours is fixed
        standalone_mode: bool = True,  # noqa: ARG002 - we always exit
        windows_expand_args: bool = True,  # noqa: ARG002
        **extra: Any,
    ) -> NoReturn:
        prog = prog_name or "fedkeeper"
        if _COMPLETE in os.environ:
            super().main(args, prog, _COMPLETE, **extra)
        words = sys.argv[1:] if args is None else list(args)
        sys.exit(failures.guarded(lambda: self._run(prog, words, extra), failures.Manner.of(words, os.environ)))

    def _run(self, prog: str, words: list[str], extra: MutableMapping[str, Any]) -> None:
        with self.make_context(prog, words, **extra) as ctx:
            self.invoke(ctx)
        sys.stdout.flush()
