"""Verbs about the store itself: store grant, store collect."""

from __future__ import annotations

import click

from fedkeeper.cli.session import Session, standard


@click.group("store", short_help="Give functions rights in the store; collect old weights.")
def store() -> None:
    """The store of the spec: rights for its functions, and room."""


@store.command("grant")
@standard()
def grant(session: Session) -> None:
    """Make the user that `functions_store` signs in as, with the rights functions need and no others.

    `store` must sign in as somebody who may make users. Repeatable: rights and password are brought up to date.
    """
    user = session.fabric().grant()
    session.show({"user": user}, lambda: f"user {user} may do what functions do: read weights and receipts, and add to them")


@store.command("collect")
@standard(stored=True)
def collect(session: Session) -> None:
    """Delete the weights of old rounds of every run in the store, as the `keep` it began with says.

    A run does so as it goes; this takes what interrupted runs, and several at a time, have left behind.
    """
    gone = session.fabric_of(None).collect()
    session.show({"blobs": gone}, lambda: f"{gone} blobs deleted" if gone else "there was nothing to delete")
