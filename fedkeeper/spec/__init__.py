"""The spec: what a user writes, and how it becomes a Fabric. One way, no way back.

    text -> tree with lines -> schema (all errors at once) -> checks -> resolved Fabric      load()
    0.1 text -> version 1 text                                                              fedkeeper.spec.upgrade
    schema -> JSON Schema, docs/spec.md                                     fedkeeper.spec.schema, fedkeeper.spec.docs

The settings of the providers are injected: this room knows none of them. Importing it costs nothing until `load` is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel

    from fedkeeper.model import Fabric
    from fedkeeper.spec.reach import Probe


def load(
    path: Path,
    *,
    providers: Mapping[str, type[BaseModel]],
    overrides: Sequence[tuple[str, str]] = (),
    text: str | None = None,
    probe: Probe | None = None,
    stored: bool = False,
) -> Fabric:
    """The fabric that the spec in `path` describes; SpecError carries every problem of it.

    `text` stands for the file's content when it is given. `overrides` are (dotted key, YAML text) from the command line.
    With `probe` (see fedkeeper.spec.reach), the addresses it names must answer. `stored`: the text was checked when its run began,
    perhaps on another machine, and the files it names need not be here.
    """
    from fedkeeper.spec import loader

    return loader.load(path, providers=providers, overrides=overrides, text=text, probe=probe, stored=stored)
