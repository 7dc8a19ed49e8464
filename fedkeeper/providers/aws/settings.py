"""Settings of an `aws` cluster: AWS Lambda functions of one account and region.

Limits: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
(6 MB each way for a held call, 10,240 MB, 15 minutes, 1,000 concurrent executions per region).
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from fedkeeper.fields import Bytes, HttpUrl, Megabytes, PositiveSeconds, Secret, Section, Text


class AwsFunction(Section):
    """Options of one function."""

    runtime: str = Field(
        default="python3.12", pattern=r"^python3\.\d+$", description="Python runtime, used when there is no image"
    )
    image: Text | None = Field(default=None, description="Container image (ECR URI); null: a zip on `runtime`")
    layers: list[str] = Field(
        default_factory=list, max_length=5, description="ARNs of layers with libraries (NumPy), for a function that is a zip"
    )
    architecture: Literal["x86_64", "arm64"] = Field(default="x86_64", description="Processor architecture")
    ephemeral_storage: Megabytes = Field(default=512, ge=512, le=10240, description="Space in /tmp")
    reserved_concurrency: int | None = Field(default=None, ge=1, description="Executions reserved for the function; null: none")


class AwsSettings(Section):
    """Functions of one AWS account in one region."""

    function_options: ClassVar[type[Section]] = AwsFunction
    shares_host: ClassVar[bool] = False
    body_factor: ClassVar[float] = 4 / 3  # weights travel as base64 in JSON

    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$", description="Region of the functions, such as eu-central-1")
    role: Text = Field(description="ARN of the role the functions run as, or `${env:NAME}`")
    profile: str | None = Field(
        default=None, min_length=1, description="Named profile of ~/.aws; null: the standard credential chain"
    )
    access_key_id: Secret | None = Field(default=None, description="Access key; null: the standard credential chain")
    secret_access_key: Secret | None = Field(default=None, description="Secret key that goes with access_key_id")
    session_token: Secret | None = Field(default=None, description="Token of temporary keys; null: the keys are lasting ones")
    endpoint: HttpUrl | None = Field(
        default=None, description="Another API endpoint (an emulator); null: `AWS_ENDPOINT_URL_LAMBDA`, else Amazon's"
    )
    bucket: Text | None = Field(
        default=None, description="S3 bucket for zips over 50 MB and for the code of functions with an image"
    )
    max_request: Bytes = Field(default=6 * 1024**2, description="Largest payload of a held call")
    max_async_request: Bytes = Field(default=1024**2, description="Largest payload of a call nobody waits for")
    max_response: Bytes = Field(default=6 * 1024**2, description="Largest answer of a held call")
    max_memory: Megabytes = Field(default=10240, description="Most memory a function may have")
    max_timeout: PositiveSeconds = Field(default=900.0, description="Longest time limit a function may have")
    max_concurrency: int = Field(default=1000, ge=1, description="Executions the region may have under way")
    control_per_second: int = Field(
        default=15, ge=1, description="Calls of the API per second, besides invocations (an AWS quota)"
    )
