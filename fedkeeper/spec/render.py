"""Problems as text: where, what, the line itself with a marker under it, and what to write instead.

config.yaml:14:7: unknown key `rouds` in `training`
   14 |       rouds: 20
      |       ^
   hint: did you mean `rounds`?
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fedkeeper.errors import Problem, SpecError
from fedkeeper.spec.document import split_lines

WIDTH = 120
"""Columns of a source line that are shown."""

_BOLD, _RED, _CYAN, _RESET = "\x1b[1m", "\x1b[31m", "\x1b[36m", "\x1b[0m"


def render_problems(error: SpecError, *, color: bool = False) -> str:
    """Every problem of `error`, in the order of the file; ends with a newline."""
    problems = error.problems or (Problem(error.message, hint=error.hint),)
    hidden = {problem.line for problem in problems if problem.column is None}  # they hold secrets
    lines = ["" if number in hidden else line for number, line in enumerate(split_lines(error.text), start=1)]
    blocks = [_render(problem, error.file or "spec", lines, color) for problem in problems]
    if len(blocks) > 1:
        blocks.append([f"{len(blocks)} problems"])
    return "\n".join("\n".join(block) for block in blocks) + "\n"


def _render(problem: Problem, file: str, lines: Sequence[str], color: bool) -> list[str]:
    where = ":".join(str(part) for part in (file, problem.line, problem.column) if part is not None)
    block = [
        problem.message if problem.message.startswith("--set ") else f"{_paint(where + ':', _BOLD, color)} {problem.message}"
    ]
    if problem.line is not None and problem.column is not None and lines[problem.line - 1].strip():
        block += _snippet(lines[problem.line - 1], problem.line, problem.column, color)
    if problem.hint:
        block.append(f"   {_paint('hint:', _CYAN, color)} {problem.hint}")
    return block


def _snippet(line: str, number: int, column: int, color: bool) -> Iterator[str]:
    start = max(0, column - 1 - WIDTH // 2) if len(line) > WIDTH else 0
    shown = "".join(_visible(character) for character in line[start : start + WIDTH]).rstrip()
    yield f"{number:5} | {shown}"
    yield f"      | {' ' * (column - 1 - start)}{_paint('^', _RED, color)}"


def _visible(character: str) -> str:
    """One column per character, and nothing a terminal would obey."""
    if character == "\t":
        return "→"
    return character if character.isprintable() else "?"


def _paint(text: str, style: str, color: bool) -> str:
    return f"{style}{text}{_RESET}" if color else text
