"""Looking at the commands that go to MongoDB, and getting in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pymongo.monitoring import CommandListener, CommandStartedEvent


class Watch(CommandListener):
    """Which commands went out."""

    def __init__(self) -> None:
        self.seen: list[CommandStartedEvent] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.seen.append(event)

    def succeeded(self, event: Any) -> None: ...

    def failed(self, event: Any) -> None: ...


class Meddle(Watch):
    """Does something at the moment a command of that name on that collection goes out; once."""

    def __init__(self, command: str, collection: str, act: Callable[[], object]) -> None:
        super().__init__()
        self.wanted, self.act = (command, collection), act

    def started(self, event: CommandStartedEvent) -> None:
        if (event.command_name, event.command.get(event.command_name)) == self.wanted:
            self.wanted = ("", "")
            self.act()
