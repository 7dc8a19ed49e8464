"""YAML text -> data with marks: numbers and words as YAML 1.2 has them, every place known, hostile text refused quickly."""

from __future__ import annotations

import time

import pytest

from fedkeeper.errors import SpecError
from fedkeeper.spec.document import Mark, dotted_path
from fedkeeper.spec.tree import MAX_CHARACTERS, read, read_value


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-3", 0.001), ("1.5", 1.5), (".5", 0.5), ("10", 10), ("-3", -3), ("010", 10), ("true", True), ("False", False), ("~", None),
        ("", None), ("null", None), ("no", "no"), ("on", "on"), ("1:30", "1:30"), ("0x10", "0x10"), ("1_000", "1_000"), (".nan", ".nan"),
        ("1e999", "1e999"), ("'10'", "10"), ("2024-01-01", "2024-01-01"), ("!!str 10", "10"), ("[1, a]", [1, "a"]), ("{a: 1}", {"a": 1}),
        ("9" * 50, "9" * 50),
    ],
)  # fmt: skip
def test_scalars(written: str, value: object) -> None:
    data = read(f"key: {written}\n", "f").data["key"]
    assert data == value
    assert type(data) is type(value)


def test_keys_are_text() -> None:
    assert read("1: a\ntrue: b\n~: c\n1.0: d\n", "f").data == {"1": "a", "true": "b", "~": "c", "1.0": "d"}


def test_every_place_is_known() -> None:
    document = read("# first\na:\n  - {b: 1,\n     c: two}\nd: x\n", "f")
    assert document.mark(("d",)) == Mark(5, 4)
    assert document.mark(("d",), key=True) == Mark(5, 1)
    assert document.mark(("a", 0, "c")) == Mark(4, 9)
    assert document.mark(("a", 0, "c"), key=True) == Mark(4, 6)
    assert document.mark(("a",)) == Mark(2, 1), "a block is marked at its key"
    assert document.mark(("a", 0, "nothing", "deep")) == Mark(3, 5), "what is missing is marked where it would be"
    assert document.mark(()) == Mark(2, 1)


def test_lines_are_counted_past_every_kind_of_line_end() -> None:
    assert read("a: 1\r\nb: 2\rc: 3\u2028d: 4\n", "f").mark(("d",)) == Mark(4, 4)


def test_byte_order_mark() -> None:
    assert read("\ufeffa: 1\n", "f").data == {"a": 1}


def test_merge_keys() -> None:
    text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\none:\n  <<: *x\n  a: 3\nboth: {<<: [*x, *y], d: 4}\n"
    document = read(text, "f")
    assert document.data["one"] == {"a": 3, "b": 1}
    assert document.data["both"] == {"a": 1, "b": 1, "c": 2, "d": 4}
    assert document.mark(("one", "b")) == Mark(1, 17), "a merged value is marked where it was written"
    assert document.mark(("one", "a")) == Mark(5, 6)
    assert not document.problems


def test_duplicates_are_collected_not_thrown() -> None:
    document = read("a: 1\nb: {c: 1, c: 2}\na: 2\n", "f")
    assert document.data == {"a": 1, "b": {"c": 1}}
    assert sorted((problem.line, problem.column) for problem in document.problems) == [(2, 11), (3, 1)]


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}", "a: &a\n  <<: *a", "&a {<<: [*a, *a]}"])
def test_what_contains_itself_ends(text: str) -> None:
    try:
        assert read(text, "f").problems
    except SpecError as error:
        assert error.problems  # noqa: PT017 - either way is right


def test_hostile_text_is_refused_quickly() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{','.join([f'*{chr(97 + i)}'] * 10)}]\n" for i in range(20)
    )
    merges = "a: &a {k: 1}\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} {{<<: [{','.join([f'*{chr(97 + i)}'] * 10)}]}}\n" for i in range(20)
    )
    start = time.monotonic()
    for text in (bomb, merges, "[" * 100_000, "a: " + "{b: " * 50_000, "- " * 50_000, "x" * (MAX_CHARACTERS + 1)):
        with pytest.raises(SpecError):
            read(text, "f")
    assert time.monotonic() - start < 20


def test_paths() -> None:
    assert dotted_path(("a", "groups", 0, "name")) == "a.groups[0].name"


@pytest.mark.parametrize(
    ("text", "value"), [("5", 5), ("1e-2", 0.01), ("abc", "abc"), ("[1, 2]", [1, 2]), ("{a: b}", {"a": "b"}), ("", None)]
)
def test_values_of_overrides(text: str, value: object) -> None:
    assert read_value(text) == value


@pytest.mark.parametrize("text", ["[1", "{a: 1, a: 2}", "a: b: c", "@", "*x", "!!python/name:os x"])
def test_values_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_value(text)
