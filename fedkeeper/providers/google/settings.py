"""Settings of a `google` cluster: Cloud Run functions (Cloud Functions, 2nd generation) of one project and region.

Limits: https://cloud.google.com/functions/quotas (32 MB uncompressed HTTP request and response, 32 GiB, 60 minutes).
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from fedkeeper.fields import Bytes, HttpUrl, Megabytes, PositiveSeconds, Secret, Section, Text


class GoogleFunction(Section):
    """Options of one function."""

    runtime: str = Field(default="python312", pattern=r"^python3\d+$", description="Python runtime of the function")
    cpu: float | None = Field(default=None, gt=0, le=8, description="CPUs; null: what goes with the memory")
    min_instances: int = Field(default=0, ge=0, description="Instances kept warm (they cost money)")
    max_instances: int | None = Field(default=None, ge=1, description="Instances at most; null: the platform's own limit")
    concurrency: int = Field(default=1, ge=1, le=1000, description="Requests one instance serves at the same time")


class GoogleSettings(Section):
    """Functions of one Google Cloud project in one region."""

    function_options: ClassVar[type[Section]] = GoogleFunction
    shares_host: ClassVar[bool] = False
    body_factor: ClassVar[float] = 1.0  # raw bytes in the request's body

    project: Text = Field(description="Project id, or `${env:NAME}`")
    region: str = Field(default="us-central1", pattern=r"^[a-z]+-[a-z]+\d+$", description="Region of the functions")
    credentials: Text | None = Field(
        default=None,
        description="Service-account file: a path, or `${env:NAME}` that holds one or the JSON itself; null: default credentials",
    )
    invoker_credentials: Secret | None = Field(
        default=None,
        description="`${env:NAME}` that holds the JSON of the account that relaying functions call with; null: `credentials`",
    )
    endpoint: HttpUrl | None = Field(default=None, description="Another API endpoint (an emulator); null: Google's")
    token: Secret | None = Field(default=None, description="Token for that endpoint; null: `GOOGLE_OAUTH_ACCESS_TOKEN`'s")
    ingress: Literal["all", "internal", "internal-and-gclb"] = Field(
        default="all", description="Networks that may reach the functions (which are private in any case)"
    )
    service_account: Text | None = Field(default=None, description="Identity the functions run as; null: the project's default")
    max_request: Bytes = Field(default=32 * 1024**2, description="Largest request")
    max_response: Bytes = Field(default=32 * 1024**2, description="Largest response")
    max_memory: Megabytes = Field(default=32768, description="Most memory a function may have")
    max_timeout: PositiveSeconds = Field(default=3600.0, description="Longest time limit a function may have")
    max_concurrency: int = Field(default=100, ge=1, description="Requests under way at the same time")
    writes_per_minute: int = Field(
        default=60, ge=1, description="Deploys and deletions the API takes in a minute (a quota of the project and region)"
    )
