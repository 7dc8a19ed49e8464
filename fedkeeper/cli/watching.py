"""Who watches a run from here: a redrawn panel on a terminal, lines in a pipe, nobody with --quiet. All on stderr.

The files under logs/ are written by `fedkeeper.api` itself, whoever watches.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from fedkeeper.cli.session import console
from fedkeeper.events import Observer


def observers(cluster_of: Mapping[str, str], *, quiet: bool, stream: TextIO | None = None) -> list[Observer]:
    """`cluster_of`: client -> its own cluster."""
    target = sys.stderr if stream is None else stream
    if quiet:
        return []
    if target.isatty():
        from fedkeeper.observe.progress import Progress

        return [Progress(console(target), cluster_of=cluster_of)]
    from fedkeeper.observe.plain import Plain

    return [Plain(target, cluster_of=cluster_of)]


@contextmanager
def watching(cluster_of: Mapping[str, str], *, quiet: bool) -> Iterator[list[Observer]]:
    """The terminal is given back whatever happens."""
    watchers = observers(cluster_of, quiet=quiet)
    try:
        yield watchers
    finally:
        for watcher in watchers:
            watcher.close()
