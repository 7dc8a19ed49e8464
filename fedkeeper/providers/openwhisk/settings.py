"""Settings of an `openwhisk` cluster: an Apache OpenWhisk installation reached over its REST API.

The limits default to those of an installation nobody has tuned (https://github.com/apache/openwhisk/blob/master/docs/reference.md):
raise them here after the operator has raised them there.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from fedkeeper.fields import Bytes, HttpUrl, Megabytes, PositiveSeconds, Secret, Section, Switch, Text


class OpenWhiskFunction(Section):
    """Options of one action."""

    image: Text | None = Field(default=None, description="Docker image of the action's runtime; null: the runtime of `kind`")
    kind: str = Field(
        default="python:default", min_length=1, description="Runtime of the installation, used when there is no image"
    )
    concurrency: int = Field(default=1, ge=1, le=500, description="Activations one container may run at the same time")


class OpenWhiskSettings(Section):
    """One namespace of an Apache OpenWhisk installation."""

    function_options: ClassVar[type[Section]] = OpenWhiskFunction
    shares_host: ClassVar[bool] = False
    body_factor: ClassVar[float] = 4 / 3  # weights travel as base64 in JSON

    api_host: HttpUrl = Field(description="Address of the API gateway or controller: `https://host[:port]`, or `${env:NAME}`")
    auth: Secret = Field(description="The namespace's key, user:password, in an environment variable: `${env:NAME}`")
    namespace: str = Field(default="_", pattern=r"^[A-Za-z0-9_][A-Za-z0-9_@.\- ]*$", description="Namespace; _ is the key's own")
    verify_tls: Switch = Field(default=True, description="Check the server's certificate")
    ca_file: str | None = Field(default=None, min_length=1, description="Certificates (PEM) to trust besides the system's")
    max_request: Bytes = Field(default=1024**2, description="Largest activation payload")
    max_response: Bytes = Field(default=1024**2, description="Largest activation result")
    max_memory: Megabytes = Field(default=512, description="Most memory an action may have")
    max_timeout: PositiveSeconds = Field(default=300.0, description="Longest time limit an action may have")
    max_concurrency: int = Field(default=100, ge=1, description="Activations the namespace may have running or queued")
    invocations_per_minute: int = Field(
        default=120, ge=1, description="Activations started per minute at most; they are paced by it"
    )
