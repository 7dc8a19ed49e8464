"""`docs/cli.md`, generated from the verbs: `python -m fedkeeper.cli.reference > docs/cli.md`."""

from __future__ import annotations

import sys

import click

from fedkeeper.cli.main import VERBS, cli

_WIDTH = 100
_HEAD = """\
# The command line

This page is generated: `python -m fedkeeper.cli.reference > docs/cli.md`.

What a command answers is on stdout: a table, or with `--json` exactly one JSON document. Progress, warnings, hints and errors are on
stderr. With `--json` an error, too, is one document on stdout: `{"error": {"type", "exit_code", "message", "where", "hint", "problems"}}`.
The exit codes are explained in [troubleshooting](troubleshooting.md).
"""


def markdown() -> str:
    """The whole page."""
    parent = cli.make_context("fedkeeper", [], resilient_parsing=True, terminal_width=_WIDTH, max_content_width=_WIDTH)
    parts = [_HEAD, _block(cli.get_help(parent))]
    section = ""
    for name, verb in VERBS.items():
        if verb.section != section:
            section = verb.section
            parts.append(f"## {section}\n")
        command = cli.get_command(parent, name)
        if command is not None:
            context = command.make_context(name, [], parent=parent, resilient_parsing=True)
            parts.append(f"### fedkeeper {name}\n\n{_block(command.get_help(context))}")
            parts += _below(command, context)
    return "\n".join(parts)


def _below(group: click.Command, parent: click.Context) -> list[str]:
    """The verbs of a group of verbs."""
    verbs = group.commands if isinstance(group, click.Group) else {}
    pages = []
    for name, command in verbs.items():
        context = command.make_context(name, [], parent=parent, resilient_parsing=True)
        pages.append(f"#### {context.command_path}\n\n{_block(command.get_help(context))}")
    return pages


def _block(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```\n"


if __name__ == "__main__":
    sys.stdout.write(markdown())
