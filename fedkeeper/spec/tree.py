"""YAML text -> plain data with the line and column of every key and value.

    text --PyYAML composer--> nodes --build--> Document(data, keys, values, problems)

Mistakes that leave the tree usable (a key given twice, an unknown tag) are collected in `problems`; the others are raised.
Scalars follow YAML 1.2's core schema, not PyYAML's 1.1: `1e-3` is a number; `no`, `010` and `1:30` are what they look like.
Hostile text costs little: size, depth and the number of values that aliases expand to are bounded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping

import yaml

from fedkeeper.errors import Problem, SpecError
from fedkeeper.model import Json
from fedkeeper.spec.document import Document, Mark, Path, dotted_path, spec_error, split_lines

MAX_CHARACTERS = 1_000_000
MAX_DEPTH = 40
MAX_VALUES = 100_000

_TEXT_TAGS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge", "!")
_COLLECTION_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq", "!")
_NOT_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"
_FRIENDLY = {
    "mapping values are not allowed here": "a ':' is not expected here; is this line, or the one before, indented wrongly?",
    "could not find expected ':'": "a key must be followed by ':'",
    "expected <block end>, but found '<block mapping start>'": "this line is indented differently from its neighbours",
    "expected <block end>, but found '<block sequence start>'": "this '-' is indented differently from its neighbours",
    "found unexpected end of stream": "a quote is opened and never closed",
}


def read(text: str, file: str) -> Document:
    """Parse. SpecError for what is not YAML, or not one mapping."""
    text = text.removeprefix("\ufeff")
    document = Document(text, file)
    if len(text) > MAX_CHARACTERS:
        raise _error(document, Problem(f"the file has {len(text)} characters; a spec may have {MAX_CHARACTERS}"))
    node = _compose(document)
    if node is None:
        raise _error(document, Problem("the file is empty", hint="`fedkeeper init` writes a spec to start from"))
    if not isinstance(node, yaml.MappingNode):
        raise _error(document, _at(node.start_mark, "a spec is a mapping: lines of `key: value`"))
    document.data = _Builder(document).build(node, ())
    return document


def read_value(text: str) -> Json:
    """The value in an override: a scalar, or a flow list or mapping. ValueError says what is wrong with it."""
    document = Document(text, "")
    try:
        node = _compose(document)
        value = None if node is None else _Builder(document).build(node, ())
    except SpecError as exc:
        raise ValueError(exc.problems[0].message) from exc
    if document.problems:
        raise ValueError(document.problems[0].message)
    return value


class _Loader(yaml.SafeLoader):
    """Composes nodes only: nothing is ever constructed from a tag."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own shape
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=_TOO_DEEP, problem_mark=mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]{1,40}", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]{1,40}|[0-9]{1,40}(\.[0-9]{0,40})?)([eE][-+]?[0-9]{1,4})?", list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), _first)


def _compose(document: Document) -> yaml.Node | None:
    try:
        loader = _Loader(document.text)  # the reader checks characters at once
        try:
            return loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as exc:
        raise _error(document, _unreadable(document.text, exc)) from exc
    except yaml.MarkedYAMLError as exc:
        raise _error(document, *(list(_tabs(document.text)) or [_syntax(exc)])) from exc


def _error(document: Document, *problems: Problem) -> SpecError:
    return spec_error(document, [*document.problems, *problems])


def _tabs(text: str) -> Iterator[Problem]:
    """Every line indented with a tab: the usual cause of a syntax error that speaks of something else."""
    for number, line in enumerate(split_lines(text), start=1):
        indent = line[: len(line) - len(line.lstrip(" \t"))]
        if "\t" in indent and line.strip():
            yield Problem("a tab in the indentation", "", number, indent.index("\t") + 1, "YAML is indented with spaces only")


def _syntax(exc: yaml.MarkedYAMLError) -> Problem:
    mark = exc.problem_mark or exc.context_mark
    problem = exc.problem or "not valid YAML"
    hint = ""
    if "'\\t'" in problem:
        return _at(mark, "a tab where YAML wants spaces", "YAML is indented with spaces only")
    if problem == "found unexpected end of stream" and exc.context_mark is not None:
        mark = exc.context_mark
    elif problem == "but found another document":
        problem, hint = "a second document starts here", "a spec is one document: remove the `---` line"
    return _at(mark, _FRIENDLY.get(problem, problem if hint or problem == _TOO_DEEP else f"not valid YAML: {problem}"), hint)


def _unreadable(text: str, exc: yaml.reader.ReaderError) -> Problem:
    before = split_lines(text[: exc.position])
    return Problem(f"the character U+{ord(text[exc.position]):04X} is not allowed in YAML", "", len(before), len(before[-1]) + 1)


def _at(mark: yaml.Mark | None, message: str, hint: str = "") -> Problem:
    return Problem(message, "", mark.line + 1 if mark else None, mark.column + 1 if mark else None, hint)


def _number(text: str) -> float | str:
    """1e999 stays text: infinity is no number that anything here could mean."""
    return float(text) if math.isfinite(float(text)) else text


_CONVERT: Mapping[str, Callable[[str], Json]] = {
    "null": lambda _: None,
    "bool": lambda text: {"true": True, "false": False}[text.lower()],
    "int": int,
    "float": _number,
}


class _Builder:
    """Nodes -> data, filling the document's marks and problems."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._count = 0

    def build(self, node: yaml.Node, path: Path) -> Json:
        self._count += 1
        if self._count > MAX_VALUES or len(path) > MAX_DEPTH:
            raise self._too_much(node)
        self._document.values[path] = _mark(node)
        if not isinstance(node, yaml.ScalarNode) and node.tag not in _COLLECTION_TAGS:
            self._complain(node, path, *_unknown_tag(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Json]:
        winners = {key_node.value: (key_node, value) for key_node, value in self._merged(node, 0)}
        seen: dict[str, Mark] = {}
        for key_node, value_node in _own(node):
            key = self._key(key_node)
            if key is None:
                continue
            if key in seen:
                first = seen[key].line
                self._complain(key_node, path, f"the key {key!r} is given twice (first on line {first})", "keep one of them")
                continue
            seen[key] = _mark(key_node)
            winners[key] = (key_node, value_node)
        self._document.keys.update({(*path, key): _mark(key_node) for key, (key_node, _) in winners.items()})
        return {key: self.build(value_node, (*path, key)) for key, (_, value_node) in winners.items()}

    def _merged(self, node: yaml.MappingNode, depth: int) -> list[tuple[yaml.Node, yaml.Node]]:
        """The pairs that `<<` brings in, least important first (own keys win, then the first mapping named)."""
        pairs: list[tuple[yaml.Node, yaml.Node]] = []
        for key, value in node.value:
            if key.tag != "tag:yaml.org,2002:merge":
                continue
            sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for source in reversed(sources):
                if not isinstance(source, yaml.MappingNode) or depth > MAX_DEPTH:
                    self._complain(key, (), "`<<` merges mappings only", "write `<<: *anchor`")
                    continue
                self._count += len(source.value)
                if self._count > MAX_VALUES:
                    raise self._too_much(key)
                pairs += [*self._merged(source, depth + 1), *(pair for pair in _own(source) if self._key(pair[0]) is not None)]
        return pairs

    def _key(self, node: yaml.Node) -> str | None:
        if isinstance(node, yaml.ScalarNode):
            self._check_text(node, ())
            return str(node.value)
        self._complain(node, (), "a key must be plain text", "quote it if it starts with { or [")
        return None

    def _scalar(self, node: yaml.Node, path: Path) -> Json:
        if node.tag in _TEXT_TAGS:
            self._check_text(node, path)
            return node.value
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        if kind not in _CONVERT:
            self._complain(node, path, *_unknown_tag(node))
            return None
        try:
            return _CONVERT[kind](node.value)
        except (ValueError, KeyError):
            self._complain(node, path, f"{node.value!r} is not {'an' if kind == 'int' else 'a'} {kind}")
            return None

    def _check_text(self, node: yaml.Node, path: Path) -> None:
        if match := _NOT_TEXT.search(node.value):
            self._complain(node, path, f"the character U+{ord(match[0]):04X} is not allowed here")

    def _too_much(self, node: yaml.Node) -> SpecError:
        hint = f"a spec may hold {MAX_VALUES} values"
        return _error(self._document, _at(node.start_mark, "aliases (*name) expand to too much", hint))

    def _complain(self, node: yaml.Node, path: Path, message: str, hint: str = "") -> None:
        mark = _mark(node)
        self._document.problems.append(Problem(message, dotted_path(path), mark.line, mark.column, hint))


def _unknown_tag(node: yaml.Node) -> tuple[str, str]:
    return f"the tag {node.tag} is not understood", "remove it: a spec is plain text, numbers, lists and mappings"


def _own(node: yaml.MappingNode) -> list[tuple[yaml.Node, yaml.Node]]:
    return [(key, value) for key, value in node.value if key.tag != "tag:yaml.org,2002:merge"]


def _mark(node: yaml.Node) -> Mark:
    return Mark(node.start_mark.line + 1, node.start_mark.column + 1)
