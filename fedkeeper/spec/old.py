"""Reading a file of version 0.1: nothing was validated there, so everything is taken with care and nothing silently dropped.

text --mend--> Document -> Old: typed access, remembers what was read; unread() is what nobody asked for
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fedkeeper.errors import Problem, SpecError
from fedkeeper.fields import complaint, describe, parse_duration, parse_memory
from fedkeeper.model import Json
from fedkeeper.spec import tree
from fedkeeper.spec.document import Document, Path, dotted_path, spec_error

_SLIPPED = re.compile(r"^ (?=(version|name|providers|scenarios):)", re.MULTILINE)
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")


def parse(text: str, file: str) -> tuple[Document, list[str]]:
    """The document, and what had to be mended to read it. The sample of version 0.1 has `scenarios:` one space too far right."""
    try:
        return tree.read(text, file), []
    except SpecError as error:
        lines = [text.count("\n", 0, match.start()) + 1 for match in _SLIPPED.finditer(text)]
        if not lines:
            raise
        try:
            document = tree.read(_SLIPPED.sub("", text), file)
        except SpecError:
            raise error from None
        return document, [f"line {line}: indented by one space too many: mended" for line in lines]


class Old:
    """The tree of a 0.1 file. Values of a wrong kind become problems; the reader goes on with a default."""

    def __init__(self, document: Document, warnings: list[str]) -> None:
        self.document = document
        self.problems: list[Problem] = list(document.problems)
        self._warnings: list[tuple[int, str]] = [(0, text) for text in warnings]
        self._read: set[Path] = set()

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(text for _, text in sorted(self._warnings, key=lambda item: item[0]))

    def get(self, *path: str | int) -> Json:
        """The value, or None. It counts as read."""
        self._read.add(path)
        here = self.document.data
        for part in path:
            here = here.get(part) if isinstance(here, dict) else None
        return here

    def keys(self, *path: str | int) -> list[str]:
        """The keys of a mapping; an empty or missing one has none."""
        here = self.document.data
        for part in path:
            here = here.get(part) if isinstance(here, dict) else None
        if here is not None and not isinstance(here, dict):
            self.problem(path, f"`{path[-1]}` must be a mapping, not {describe(here)}")
        return list(here) if isinstance(here, dict) else []

    def text(self, *path: str | int) -> str:
        """Text, "" when there is none or only a placeholder such as <ADD ...>."""
        value = self.get(*path)
        if isinstance(value, dict | list):
            self.problem(path, f"`{path[-1]}` must be text, not {describe(value)}")
            return ""
        text = "" if value is None else str(value)
        return "" if "<" in text or ">" in text else text.strip()

    def whole(self, path: Path, default: int, low: int, high: int) -> int:
        """A whole number, which 0.1 also took as text."""
        number = self.number(path, default)
        if not low <= number <= high or number != int(number):
            self.problem(path, f"`{path[-1]}` must be a whole number from {low} to {high}, not {describe(self.get(*path))}")
            return default
        return int(number)

    def number(self, path: Path, default: float) -> float:
        value = self.get(*path)
        if value is None or value == "":
            return default
        text = str(value).strip()
        if isinstance(value, bool) or not isinstance(value, int | float | str) or not _NUMBER.fullmatch(text) or len(text) > 30:
            self.problem(path, f"`{path[-1]}` must be a number, not {describe(value)}")
            return default
        return float(text)

    def seconds(self, path: Path, *, milliseconds: bool) -> int | None:
        """A time limit, rounded up: a plain number is in the platform's own unit."""
        value = self.get(*path)
        if value is None or value == "":
            return None
        try:
            plain = _NUMBER.fullmatch(str(value).strip())
            found = float(str(value)) / (1000 if milliseconds else 1) if plain else parse_duration(value)
            return self._in_range(found, 1, 86_400)
        except (ValueError, OverflowError) as exc:
            self.problem(path, f"`{path[-1]}`: {exc}")
            return None

    def megabytes(self, path: Path) -> int | None:
        value = self.get(*path)
        if value is None or value == "":
            return None
        try:
            text = str(value).strip()
            return self._in_range(float(text) if _NUMBER.fullmatch(text) else parse_memory(value), 1, 1024**2)
        except (ValueError, OverflowError) as exc:
            self.problem(path, f"`{path[-1]}`: {exc}")
            return None

    def warn(self, path: Path, message: str) -> None:
        """The value is never part of it: it may be a secret."""
        mark = self.document.mark(path, key=True) if path and self.document.has(path) else None
        where = f"line {mark.line}: {dotted_path(path)}: " if mark else f"{dotted_path(path)}: " if path else ""
        text = " ".join(f"{where}{message}".split())
        self._warnings.append((mark.line if mark else 10**9, "".join(c if c.isprintable() else "?" for c in text)))

    def problem(self, path: Path, message: str) -> None:
        self.problems.append(self.document.problem(path, message))

    def unread(self) -> Iterator[Path]:
        """The highest paths nothing was read from or below, in the order of the file."""
        yield from self._unread((), self.document.data)

    def raise_problems(self) -> None:
        if self.problems:
            raise spec_error(self.document, self.problems)

    def _unread(self, path: Path, value: Json) -> Iterator[Path]:
        if path in self._read:
            return
        if path and not any(read[: len(path)] == path for read in self._read):
            yield path
        elif isinstance(value, dict):
            for key, item in value.items():
                yield from self._unread((*path, key), item)

    @staticmethod
    def _in_range(number: float, low: int, high: int) -> int:
        if not low <= number <= high:
            raise complaint(f"must be from {low} to {high}, not {number:g}")
        return -int(-number // 1)
