"""Errors -> exit codes, and the lines or the JSON object that explain them.

FedKeeperError ......... its exit_code; `error:` and `hint:` on stderr, or {"error": ...} on stdout with --json
a click error .......... 2
KeyboardInterrupt ...... 130
a reader that went away  141, silently (as the shell does for SIGPIPE)
anything else .......... 1; the traceback goes to a file, or to stderr with -v or FEDKEEPER_DEBUG=1
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import click

from fedkeeper.errors import FedKeeperError, Interrupted, SpecError

BROKEN_PIPE = 141
_DEFECT = "this is a defect of FedKeeper; please report it with that traceback"


@dataclass(frozen=True)
class Manner:
    """How to speak, read from the raw words: an error may come before they are parsed."""

    json: bool = False
    debug: bool = False

    @classmethod
    def of(cls, words: Sequence[str], environ: Mapping[str, str]) -> Manner:
        options = list(words[: words.index("--")] if "--" in words else words)
        debug = bool({"-v", "--verbose"} & set(options)) or environ.get("FEDKEEPER_DEBUG", "") not in ("", "0")
        return cls(json="--json" in options, debug=debug)


def guarded(action: Callable[[], object], manner: Manner) -> int:
    """Run a verb; the exit code of whatever happens."""
    try:
        action()
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except BrokenPipeError:
        _drop_output()
        return BROKEN_PIPE
    except (Exception, KeyboardInterrupt) as exc:
        return _report(_named(exc, manner), manner)
    return 0


def _named(exc: BaseException, manner: Manner) -> FedKeeperError:
    """Whatever was raised, as one of our errors."""
    if isinstance(exc, FedKeeperError):
        if manner.debug:
            traceback.print_exception(exc, file=sys.stderr)
        return exc
    if isinstance(exc, KeyboardInterrupt):
        return Interrupted("interrupted")
    if isinstance(exc, click.exceptions.Abort):
        return Interrupted("interrupted", hint="")
    return _from_click(exc) if isinstance(exc, click.ClickException) else _unforeseen(exc, manner)


def as_json(error: FedKeeperError) -> dict[str, Any]:
    """The one JSON object of a failed command."""
    problems = [asdict(problem) for problem in error.problems] if isinstance(error, SpecError) else []
    return {
        "error": {
            "type": type(error).__name__,
            "exit_code": error.exit_code,
            "message": error.message,
            "where": error.where,
            "hint": error.hint or None,
            "problems": problems,
        }
    }


class _Usage(FedKeeperError):
    """A click error in our form."""

    exit_code = 2


def _from_click(exc: click.ClickException) -> FedKeeperError:
    message = exc.format_message().rstrip(".")
    context = exc.ctx if isinstance(exc, click.UsageError) else None
    hint = f"`{context.command_path} --help` shows what there is" if context is not None else ""
    return _Usage(message[:1].lower() + message[1:], hint=hint)


def _unforeseen(exc: BaseException, manner: Manner) -> FedKeeperError:
    what = f"unexpected {type(exc).__name__}: {' '.join(str(exc).split())[:300]}"
    text = "".join(traceback.format_exception(exc))
    if manner.debug:
        sys.stderr.write(text)
        return FedKeeperError(what, hint=_DEFECT)
    try:
        with tempfile.NamedTemporaryFile("w", prefix="fedkeeper-", suffix=".traceback", delete=False, encoding="utf-8") as file:
            file.write(text)
    except OSError:
        return FedKeeperError(what, hint="run it again with -v to see the traceback; " + _DEFECT)
    return FedKeeperError(f"{what} (traceback in {file.name})", hint=_DEFECT)


def _report(error: FedKeeperError, manner: Manner) -> int:
    try:
        if manner.json:
            sys.stdout.write(json.dumps(as_json(error)) + "\n")
        else:
            sys.stderr.write(_for_people(error, colour=sys.stderr.isatty() and "NO_COLOR" not in os.environ))
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        _drop_output()
    return error.exit_code


def _for_people(error: FedKeeperError, *, colour: bool) -> str:
    if isinstance(error, SpecError) and error.problems:
        from fedkeeper.spec.render import render_problems

        return render_problems(error, color=colour).rstrip("\n") + "\n"
    head, tip = ("\x1b[1;31merror:\x1b[0m", "\x1b[1mhint:\x1b[0m") if colour else ("error:", "hint:")
    return f"{head} {error}\n" + (f"{tip} {error.hint}\n" if error.hint else "")


def _drop_output() -> None:
    """Point stdout at nothing, or the interpreter complains when it flushes at exit."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # not a real file: nobody will flush it
        return
