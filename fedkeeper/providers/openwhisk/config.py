"""What an adapter and a caller need to know of one installation, read from the cluster's settings.

settings (JSON, secrets filled in) -> Config          no pydantic: this travels in the invoker's zip
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from fedkeeper.errors import AccessDenied
from fedkeeper.model import Json
from fedkeeper.providers.secrets import resolved

_KEY = re.compile(r"[^:\s]+:[^\s]+")
_MIB = 1024**2


@dataclass(frozen=True)
class Config:
    """One namespace of one installation. `where` is its place in the spec: messages begin with it."""

    where: str
    api_host: str
    auth: str = field(repr=False)
    namespace: str = "_"
    verify_tls: bool = True
    ca_file: str | None = None
    max_request: int = _MIB
    max_response: int = _MIB

    @staticmethod
    def of(settings: Mapping[str, Json], environ: Mapping[str, str], where: str) -> Config:
        filled = resolved(settings, environ, where)
        auth = str(filled["auth"]).strip()
        if not _KEY.fullmatch(auth):
            raise AccessDenied(
                f"{where}.auth: the key must have the form user:password, as `wsk property get --auth` prints it", hint=HINT_KEY
            )
        return Config(
            where=where,
            api_host=_address(str(filled["api_host"])),
            auth=auth,
            namespace=str(filled.get("namespace") or "_"),
            verify_tls=bool(filled.get("verify_tls", True)),
            ca_file=filled.get("ca_file"),
            max_request=int(filled.get("max_request", _MIB)),
            max_response=int(filled.get("max_response", _MIB)),
        )

    @property
    def base(self) -> str:
        return f"{self.api_host}/api/v1/namespaces/{self.namespace}"


HINT_KEY = "print the key with `wsk property get --auth` and export it in the variable that the setting names"


def _address(host: str) -> str:
    """`wsk` knows hosts without a scheme, and means https."""
    full = host if "://" in host else f"https://{host}"
    return full.rstrip("/").removesuffix("/api/v1").rstrip("/")
