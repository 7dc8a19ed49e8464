"""A cluster's settings, filled in: what the adapter and the caller in an invoker's zip both need. No pydantic, no SDK.

settings + environ --(endpoint? token : service account)--> Config
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fedkeeper.errors import AccessDenied
from fedkeeper.model import Json
from fedkeeper.providers.google.naming import url_of
from fedkeeper.providers.secrets import resolved

ENDPOINT = "GOOGLE_CLOUD_FUNCTIONS_ENDPOINT"
TOKEN = "GOOGLE_OAUTH_ACCESS_TOKEN"
CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"
MB32 = 32 * 1024**2


@dataclass(frozen=True)
class Config:
    """`setting` is where the settings stand in the spec. `token` is used when there is an `endpoint`, `credentials` when there is none."""

    setting: str
    project: str
    region: str
    endpoint: str | None = None
    token: str | None = None
    credentials: str | None = None  # a service-account file's path or its JSON; None: application default credentials
    max_request: int = MB32
    max_response: int = MB32
    max_timeout_s: float = 3600.0
    max_concurrency: int = 100
    writes_per_minute: int = 60

    @staticmethod
    def of(
        settings: Mapping[str, Json], environ: Mapping[str, str], setting: str = "providers.google", *, invoker: bool = False
    ) -> Config:
        """`invoker`: for a function that calls this cluster's functions from elsewhere, with a credential of its own where there is one."""
        endpoint = resolved({"endpoint": settings.get("endpoint")}, environ, setting)["endpoint"] or environ.get(ENDPOINT)
        own = "invoker_credentials" if invoker and settings.get("invoker_credentials") else "credentials"
        unused = {"credentials", "invoker_credentials", "token"} - {"token" if endpoint else own}  # these need not be set
        filled = resolved({name: value for name, value in settings.items() if name not in unused}, environ, setting)
        token = filled.get("token") or environ.get(TOKEN)
        if endpoint and not token:
            hint = f'export {TOKEN}=...   (for the emulator: eval "$(fedkeeper emulate env)")'
            raise AccessDenied(f"{setting}.endpoint is {endpoint}: calls to it need a token, and {TOKEN} is not set", hint=hint)
        return Config(
            setting=setting,
            project=filled["project"],
            region=filled.get("region", "us-central1"),
            endpoint=str(endpoint).rstrip("/") if endpoint else None,
            token=token if endpoint else None,
            credentials=filled.get(own) or environ.get(CREDENTIALS),
            max_request=int(filled.get("max_request", MB32)),
            max_response=int(filled.get("max_response", MB32)),
            max_timeout_s=float(filled.get("max_timeout", 3600.0)),
            max_concurrency=int(filled.get("max_concurrency", 100)),
            writes_per_minute=int(filled.get("writes_per_minute", 60)),
        )

    @property
    def parent(self) -> str:
        return f"projects/{self.project}/locations/{self.region}"

    @property
    def place(self) -> str:
        return f"project {self.project}, region {self.region}"

    def url(self, function: str) -> str:
        return url_of(self.project, self.region, function, self.endpoint)
