"""What an adapter and a caller need to know of one account and region, read from the cluster's settings.

settings (JSON, secrets filled in) + environ -> Config          no pydantic: this travels in the invoker's zip

Credentials: the settings' own, else those of `profile`, else AWS_* of the environ, else what boto3 finds (files, the function's role).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fedkeeper.errors import AccessDenied
from fedkeeper.model import Json
from fedkeeper.providers.secrets import resolved

MIB = 1024**2
ENDPOINTS = ("AWS_ENDPOINT_URL_LAMBDA", "AWS_ENDPOINT_URL")
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@dataclass(frozen=True)
class Keys:
    """One set of credentials. Long-term keys have no token."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Config:
    """`where` is the cluster's place in the spec: messages begin with it."""

    where: str
    region: str
    role: str = ""
    profile: str | None = None
    keys: Keys | None = None
    endpoint: str | None = None
    endpoint_s3: str | None = None
    bucket: str | None = None
    max_request: int = 6 * MIB
    max_async_request: int = MIB
    max_response: int = 6 * MIB
    max_memory: int = 10240
    max_timeout: float = 900.0
    max_concurrency: int = 1000
    control_per_second: int = 15

    @staticmethod
    def of(settings: Mapping[str, Json], environ: Mapping[str, str], where: str) -> Config:
        filled = {name: value for name, value in resolved(settings, environ, where).items() if value is not None}
        own = (
            "role",
            "profile",
            "bucket",
            "control_per_second",
            *(name for name in Config.__dataclass_fields__ if name.startswith("max_")),
        )
        return Config(
            where=where,
            region=str(filled["region"]),
            keys=_keys(filled, environ, where),
            endpoint=filled.get("endpoint") or next((environ[name] for name in ENDPOINTS if environ.get(name)), None),
            endpoint_s3=environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL"),
            **{name: filled[name] for name in own if name in filled},
        )

    @property
    def address(self) -> str:
        return self.endpoint or f"https://lambda.{self.region}.amazonaws.com"


def _keys(filled: Mapping[str, Json], environ: Mapping[str, str], where: str) -> Keys | None:
    found = [filled.get(name) for name in ("access_key_id", "secret_access_key", "session_token")]
    if bool(found[0]) != bool(found[1]):
        raise AccessDenied(f"{where}: access_key_id and secret_access_key go together; one of them is missing")
    if not found[0] and not filled.get("profile"):
        found = [environ.get(name) for name in KEYS]
    if found[0] and found[1]:
        return Keys(str(found[0]), str(found[1]), found[2] or None)
    return None
