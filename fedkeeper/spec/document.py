"""What a parsed spec is: plain data, and where in the text each piece of it stands.

    Document.problem(path, message) -> Problem with line and column     spec_error(document, problems) -> one SpecError

A value set on the command line has no line: its problems name the flag instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from fedkeeper.errors import Problem, SpecError
from fedkeeper.model import Json

Path = tuple[str | int, ...]
"""Keys and list positions from the root: ("providers", "local", "laptop")."""

_LINE_END = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")


@dataclass(frozen=True)
class Mark:
    """A place in the text, both 1-based."""

    line: int
    column: int


@dataclass
class Document:
    """The tree of one file. `flags` names the command-line option that set a path, which then has no line."""

    text: str
    file: str
    data: Json = None
    keys: dict[Path, Mark] = field(default_factory=dict)
    values: dict[Path, Mark] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    flags: dict[Path, str] = field(default_factory=dict)

    def has(self, path: Path) -> bool:
        return path in self.values or path in self.flags

    def mark(self, path: Path, *, key: bool = False) -> Mark | None:
        """Where `path` stands, or else its nearest ancestor. None for the empty document."""
        while path:
            if path in self.keys and path in self.values and self.keys[path].line != self.values[path].line:
                return self.keys[path]  # a block below its key
            places = (self.keys, self.values) if key else (self.values, self.keys)
            for place in places:
                if path in place:
                    return place[path]
            path, key = path[:-1], True
        return self.values.get((), Mark(1, 1)) if self.text else None

    def flag(self, path: Path) -> str | None:
        """The option that set `path` or something above it."""
        return next((self.flags[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.flags), None)

    def problem(self, path: Path, message: str, hint: str = "", *, key: bool = False, secret: bool = False) -> Problem:
        """`secret`: the line holds one. Without a column it is not shown, so that it does not get into logs."""
        dotted = dotted_path(path)
        if flag := self.flag(path):
            return Problem(f"{flag}: {message}", dotted, hint=hint)
        mark = self.mark(path, key=key)
        return Problem(message, dotted, mark.line if mark else None, mark.column if mark and not secret else None, hint)


def dotted_path(path: Path) -> str:
    """("groups", 0, "name") -> "groups[0].name"."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def spec_error(document: Document, problems: Iterable[Problem]) -> SpecError:
    """One SpecError of all problems, in the order of the file (those of flags come last)."""
    ordered = sorted(set(problems), key=lambda p: (p.line is None, p.line or 0, p.column or 0, p.path, p.message))
    message = ordered[0].message if len(ordered) == 1 else f"{len(ordered)} problems"
    hint = ordered[0].hint if len(ordered) == 1 else ""
    return SpecError(message, problems=ordered, file=document.file, text=document.text, hint=hint)


def split_lines(text: str) -> list[str]:
    """Lines as PyYAML counts them (str.splitlines knows more line ends)."""
    return _LINE_END.split(text)
