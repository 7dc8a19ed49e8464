"""Validation errors -> problems in the words of someone who writes YAML, each at its key or value.

    pydantic error (loc, type, ctx) --place()--> path in the document --say()--> message, hint --> Problem

Unknown keys name the nearest valid one, or the section they belong in; the key that is missing because of such a slip is not
reported as well.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence

from pydantic_core import ErrorDetails

from fedkeeper.errors import Problem
from fedkeeper.fields import describe
from fedkeeper.model import Json
from fedkeeper.spec.document import Document, Path, dotted_path
from fedkeeper.spec.schema import schemas_at

_PLAIN = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a mapping (lines of `key: value`)",
    "model_type": "must be a mapping (lines of `key: value`)",
    "finite_number": "must be a number",
}
_BOUNDS = {
    "greater_than": ("gt", "must be more than"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be less than"),
    "less_than_equal": ("le", "must be at most"),
}
_PATTERNS = {
    r"^[a-z][a-z0-9-]{0,39}$": "a lower-case letter, then letters, digits and -, 40 characters at most",
    r"^[A-Za-z][A-Za-z0-9_-]{0,62}$": "a letter, then letters, digits, - and _, 63 characters at most",
    r"^[A-Za-z0-9][A-Za-z0-9_-]*$": "letters, digits, - and _, beginning with a letter or digit",
    r"^[A-Za-z][A-Za-z0-9_.-]*$": "one word: a letter, then letters, digits, . - and _",
    r"^[0-9a-f]{64}$": "64 lower-case hexadecimal digits; `sha256sum FILE` prints them",
    r"^[a-z]+-[a-z]+\d+$": "a region such as us-central1",
    r"^[a-z]{2}(-[a-z]+)+-\d$": "a region such as eu-central-1",
}


def problems_of(errors: Sequence[ErrorDetails], document: Document, schema: Mapping[str, Json]) -> Iterator[Problem]:
    """One problem per error, without those that only follow from another."""
    placed = [(place(error["loc"], document.data), error) for error in errors]
    slips = {path for path, error in placed if error["type"] == "extra_forbidden"}
    for path, error in placed:
        if error["type"] == "missing" and any(slip[:-1] == path[:-1] and _near(str(slip[-1]), [str(path[-1])]) for slip in slips):
            continue
        yield _problem(path, error, document, schema)


def place(loc: Sequence[str | int], data: Json) -> Path:
    """Where in the data an error is. Parts of `loc` that name no key (`<form>` of a union, `[key]`) are left out."""
    path: list[str | int] = []
    here = data
    for part in loc:
        known = isinstance(here, dict) and part in here
        if isinstance(part, str) and not known and (part == "[key]" or (part.startswith("<") and part.endswith(">"))):
            continue
        path.append(part)
        here = here[part] if known or (isinstance(here, list) and isinstance(part, int) and part < len(here)) else None
    return tuple(path)


def unknown_key(key: str, path: Path, schema: Mapping[str, Json]) -> str:
    """A hint for a key that has no meaning at `path` (its parent)."""
    valid = sorted({name for form in schemas_at(schema, path) for name in form.get("properties", {})})
    if near := _near(key, valid):
        return f"did you mean `{near}`?"
    if homes := list(_homes(key, schema)):
        return f"`{key}` belongs in {' or '.join(homes[:2])}"
    return f"valid keys here: {', '.join(valid)}" if valid else "nothing is expected here"


def _problem(path: Path, error: ErrorDetails, document: Document, schema: Mapping[str, Json]) -> Problem:
    kind = error["type"]
    if kind == "missing":
        hint = _meaning(path, schema)
        return document.problem(path[:-1], f"the key `{path[-1]}` is missing{_inside(path[:-1])}", hint, key=True)
    if kind == "extra_forbidden":
        return document.problem(
            path, f"unknown key `{path[-1]}`{_inside(path[:-1])}", unknown_key(str(path[-1]), path[:-1], schema), key=True
        )
    message, hint = _say(error)
    if error["loc"][-1] == "[key]":
        return document.problem(path, f"the name `{path[-1]}` {message}", hint, key=True)
    secret = bool(error.get("ctx", {}).get("secret"))
    text = f"{_name(path)} {message}" if _is_sentence(message) else f"{_name(path)}: {message}"
    return document.problem(path, text, hint, secret=secret)


def _say(error: ErrorDetails) -> tuple[str, str]:
    """Message and hint. Messages that begin with a verb go after the key's name."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind in _PLAIN:
        return f"{_PLAIN[kind]}, not {describe(value)}", _quotes(kind, value)
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"{words} {context[name]:g}", ""
    if kind in _SPECIAL:
        return _SPECIAL[kind](value, context)
    return f"is not valid: {error['msg']}", ""


def _choice(value: object, context: Mapping[str, Json]) -> tuple[str, str]:
    choices = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
    near = _near(str(value), choices)
    return f"must be {' or '.join(choices)}, not {describe(value)}", f"did you mean `{near}`?" if near else ""


def _pattern(value: object, context: Mapping[str, Json]) -> tuple[str, str]:
    form = _PATTERNS.get(context["pattern"])
    return f"is not valid: {describe(value)}", f"write {form}" if form else f"it must match {context['pattern']}"


def _long(_: object, context: Mapping[str, Json]) -> tuple[str, str]:
    return f"is longer than {context['max_length']}", ""


_SPECIAL: Mapping[str, Callable[[object, Mapping[str, Json]], tuple[str, str]]] = {
    "fedkeeper": lambda _, context: (context["message"], context["hint"]),
    "literal_error": _choice,
    "string_pattern_mismatch": _pattern,
    "too_short": lambda *_: ("must not be empty", ""),
    "string_too_short": lambda *_: ("must not be empty", ""),
    "too_long": _long,
    "string_too_long": _long,
}


def _quotes(kind: str, value: object) -> str:
    if kind in ("int_type", "float_type") and isinstance(value, str) and value.replace(".", "", 1).isdigit():
        return "remove the quotes"
    if kind == "string_type" and isinstance(value, int | float):
        return "put it in quotes"
    return ""


def _is_sentence(message: str) -> bool:
    return message.startswith(("must ", "is ", "has ", "needs "))


def _name(path: Path) -> str:
    """How a value is called in a sentence: its own key, and its position in a list."""
    keys = [index for index, part in enumerate(path) if isinstance(part, str)]
    return f"`{dotted_path(path[keys[-1] :])}`" if keys else "the file"


def _inside(path: Path) -> str:
    return f" in `{dotted_path(path[-2:] if len(path) > 1 and isinstance(path[-1], int) else path[-1:])}`" if path else ""


def _meaning(path: Path, schema: Mapping[str, Json]) -> str:
    for form in schemas_at(schema, path[:-1]):
        if text := form.get("properties", {}).get(path[-1], {}).get("description"):
            return f"`{path[-1]}`: {text}"
    return ""


def _near(word: str, choices: Sequence[str]) -> str | None:
    """The choice that `word` was most likely meant to be."""
    folded = {choice.lower().replace("-", "_"): choice for choice in choices}
    found = difflib.get_close_matches(word.lower().replace("-", "_"), folded, 1, cutoff=0.65)
    return folded[found[0]] if found else None


def _homes(key: str, schema: Mapping[str, Json], path: Path = ()) -> Iterator[str]:
    """Sections of the static part of the spec that know `key`."""
    for form in schemas_at(schema, path):
        properties = form.get("properties", {})
        if key in properties and path:
            yield f"`{dotted_path(path)}`"
        for name in properties:
            if len(path) < 4 and name != "providers":
                yield from _homes(key, schema, (*path, name))
