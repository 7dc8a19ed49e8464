"""One application for all three APIs, by their own paths, and `GET /health`.

Emulator(home) -> platforms, credentials --build--> Starlette(openwhisk_api.routes + google_api.routes + aws_api.routes)
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedkeeper.emulator import files
from fedkeeper.emulator.core import KINDS, Api, Credentials, Platform, Settings
from fedkeeper.emulator.credentials import credentials_of
from fedkeeper.emulator.limits import DEFAULTS, Limits
from fedkeeper.errors import MissingExtra
from fedkeeper.version import __version__

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.routing import BaseRoute


@dataclass(frozen=True)
class Emulator:
    """The three platforms of one home."""

    platforms: Mapping[str, Platform]
    credentials: Credentials
    settings: Settings
    started: float

    @staticmethod
    def open(home: Path, limits: Mapping[str, Limits] | None = None, settings: Settings | None = None) -> Emulator:
        own, settings = {**DEFAULTS, **(limits or {})}, settings or Settings()
        files.folder(home)
        platforms = {kind: Platform(kind, home / kind, own[kind], settings) for kind in KINDS}
        return Emulator(platforms, credentials_of(home), settings, time.time())

    def api(self, kind: str, base_url: str) -> Api:
        platform = self.platforms[kind]
        return Api(platform, platform.limits, self.credentials, base_url)

    def health(self) -> dict[str, Any]:
        """What anybody may know: no secret, no name."""
        return {
            "status": "ok",
            "version": __version__,
            "runtime": self.settings.runtime,
            "started": self.started,
            "functions": {kind: platform.count() for kind, platform in self.platforms.items()},
            "limits": {kind: platform.limits.to_json() for kind, platform in self.platforms.items()},
        }

    def close(self) -> None:
        for platform in self.platforms.values():
            platform.close()


def build(emulator: Emulator, base_url: str) -> Starlette:
    """MissingExtra without starlette."""
    try:
        from starlette.applications import Starlette
        from starlette.responses import JSONResponse
        from starlette.routing import Route
    except ImportError as exc:
        raise MissingExtra("starlette", "emulator", "the emulator") from exc

    async def health(_: object) -> JSONResponse:
        return JSONResponse(emulator.health())

    routes: list[BaseRoute] = [Route("/health", health)]
    for kind in KINDS:
        routes += _routes(kind, emulator.api(kind, base_url))
    return Starlette(routes=routes)


def _routes(kind: str, api: Api) -> list[BaseRoute]:
    found: list[BaseRoute] = importlib.import_module(f"fedkeeper.emulator.{kind}_api").routes(api)
    return found
