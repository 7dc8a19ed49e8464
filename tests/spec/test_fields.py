"""Durations, sizes, memory, quorum, secrets: what people write, and the number it becomes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from fedkeeper.fields import env_name, parse_duration, parse_memory, parse_size
from fedkeeper.spec.sections import parse_quorum


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (30, 30.0),
        (0.5, 0.5),
        ("500ms", 0.5),
        ("30s", 30.0),
        ("10m", 600.0),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        ("2d", 172_800.0),
        ("0s", 0),
    ],
)
def test_durations(written: object, seconds: float) -> None:
    assert parse_duration(written) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("written", "size"),
    [(1024, 1024), (2.0, 2), ("100B", 100), ("512KB", 524_288), ("1.5 MB", 1_572_864), ("1GiB", 1 << 30), ("3mb", 3 << 20)],
)
def test_sizes(written: object, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize(("written", "megabytes"), [(2048, 2048), ("2GB", 2048), ("512MB", 512), ("1.5GB", 1536)])
def test_memory(written: object, megabytes: int) -> None:
    assert parse_memory(written) == megabytes


@pytest.mark.parametrize(("written", "quorum"), [("all", 0), (8, 8), ("80%", 0.8), ("100%", 1.0), ("12.5%", 0.125)])
def test_quorum(written: object, quorum: float) -> None:
    assert parse_quorum(written) == pytest.approx(quorum)


NO_DURATIONS = ("", "10", "1h30", "m", "-5s", "1e3s", "10 minutes", None, True, [1], float("nan"), float("inf"))
NO_SIZES: tuple[object, ...] = ("", "10", "MB", "1TB", "-1MB", 0.5, None, False, {})
NO_MEMORY = ("", "2G", "1KB", 0.25, None, True, 10**400)
NO_QUORUM = ("", "most", "0%", "101%", "-5%", "%", 0, -1, 1.5, True, None, "٥%")
WRONG: list[tuple[Callable[[object], float], object]] = [
    *((parse_duration, written) for written in NO_DURATIONS),
    *((parse_size, written) for written in NO_SIZES),
    *((parse_memory, written) for written in NO_MEMORY),
    *((parse_quorum, written) for written in NO_QUORUM),
]


@pytest.mark.parametrize(("parse", "written"), WRONG)
def test_what_is_none(parse: Callable[[object], float], written: object) -> None:
    with pytest.raises(PydanticCustomError, match=r"must be|is not"):
        parse(written)


@given(st.integers(0, 48), st.integers(0, 59), st.integers(0, 59))
def test_durations_add_up(hours: int, minutes: int, seconds: int) -> None:
    assert parse_duration(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds


@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_a_complaint(text: str) -> None:
    try:
        assert parse_duration(text) >= 0
    except PydanticCustomError as exc:
        assert "not a duration" in str(exc)  # noqa: PT017 - either way is right


@pytest.mark.parametrize(
    ("text", "name"),
    [("${env:A_1}", "A_1"), ("${env:}", None), ("${A}", None), ("x${env:A}", None), ("${env:A}\n", None), ("${env:1A}", None)],
)
def test_placeholders(text: str, name: str | None) -> None:
    assert env_name(text) == name
