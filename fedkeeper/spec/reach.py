"""Does the dataset's URL answer? Asked by `check` and `start` only, and not when the file is in the cache already.

    data.dataset -> URL --probe--> None (it answers) | why not -> Problem

Whoever loads a spec for another reason should not wait for a network.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

from fedkeeper.errors import Problem
from fedkeeper.spec import resolve
from fedkeeper.spec.checks import DATA, Context

Probe = Callable[[str], str | None]
"""A URL -> None when it answers, else the reason."""

_TIMEOUT_S = 10
_HINT = "check the address and the network; with a local copy: dataset: {path: ...}"


def dataset_answers(context: Context, probe: Probe) -> Iterator[Problem]:
    data = resolve.data(context.learning, context.root)
    if data.url is None or (context.root / ".fedkeeper" / "cache" / f"{data.sha256}.npz").exists():
        return
    if (reason := probe(data.url)) is not None:
        path = (*DATA, "dataset", "url") if context.document.has((*DATA, "dataset", "url")) else (*DATA, "dataset")
        yield context.problem(path, f"{data.url} does not answer: {reason}", _HINT)


def probe(url: str) -> str | None:
    """HEAD first; servers that refuse HEAD but exist count as answering."""
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S):
            return None
    except urllib.error.HTTPError as exc:
        with exc:
            return f"HTTP {exc.code} {exc.reason}" if exc.code in (404, 410) else None
    except urllib.error.URLError as exc:
        return str(getattr(exc.reason, "strerror", None) or exc.reason)
    except (OSError, ValueError) as exc:
        return str(exc)
