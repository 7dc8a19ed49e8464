"""What Lambda is told of a function: pure, from the spec to the requests' fields.

FunctionSpec -> configuration (memory, time, variables) | code (zip, bucket, image) | tags
FunctionSpec -> refused before anything is sent: too much memory, TensorFlow in a zip, 4 KB of variables
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fedkeeper.errors import AccessDenied, DeployError, PackageError, ProviderError
from fedkeeper.model import FunctionSpec
from fedkeeper.providers.aws.bootstrap import VARIABLE
from fedkeeper.providers.aws.config import MIB, Config
from fedkeeper.providers.aws.naming import TAG_DIGEST, TAG_FABRIC, TAG_FUNCTION, TAG_ROLE, platform_name
from fedkeeper.providers.aws.shim import RESERVED

DIRECT = 50 * MIB
HANDLER = "lambda_function.handler"
IMAGE_HANDLER = "bootstrap.handler"
ENVIRONMENT_LIMIT = 4096
_UNZIPPED = 250 * MIB
_HEAVY = re.compile(r"(tensorflow|keras|torch|jax)\b", re.IGNORECASE)
_RESERVED = re.compile(
    r"AWS_(REGION|DEFAULT_REGION|ACCESS_KEY(_ID)?|SECRET_ACCESS_KEY|SESSION_TOKEN|EXECUTION_ENV|LAMBDA_\w+)|_\w+"
)


def image_of(spec: FunctionSpec) -> str | None:
    image = spec.options.get("image")
    return str(image) if image else None


def check(config: Config, spec: FunctionSpec) -> None:
    """What Lambda would refuse, or take and never be able to run."""
    if spec.memory_mb > config.max_memory:
        raise ProviderError(_exceeds(config, spec, "memory", f"{spec.memory_mb} MB", f"{config.max_memory} MB"))
    if spec.timeout_s > config.max_timeout:
        raise ProviderError(_exceeds(config, spec, "timeout", f"{spec.timeout_s} s", f"{config.max_timeout:g} s"))
    if not config.role:
        raise DeployError(
            f"{config.where}.role is not set", hint="the ARN of the role the functions run as: docs/aws.md, `The role`"
        )
    heavy = [line for line in spec.requirements if _HEAVY.match(line)]
    if heavy and image_of(spec) is None:
        raise PackageError(
            f"{spec.name} requires {', '.join(heavy)}, which does not fit a Lambda zip ({_UNZIPPED // MIB} MB unzipped)",
            hint="set functions.<role>.aws.image to an image that has it: docs/aws.md, `The image`",
        )
    if image_of(spec) is not None and config.bucket is None:
        raise DeployError(
            f"{spec.name} runs in an image, which fetches its code from a bucket: {config.where}.bucket is not set",
            hint="name a bucket that the functions' role may read (providers/aws/template.yaml makes both)",
        )


def check_size(config: Config, spec: FunctionSpec, size: int) -> None:
    if size > DIRECT and config.bucket is None:
        raise PackageError(
            f"the zip of {spec.name} has {size:,} bytes; Lambda takes {DIRECT:,} directly, and {config.where}.bucket is not set",
            hint="name an S3 bucket in the functions' region, through which larger zips go",
        )
    if size > _UNZIPPED and image_of(spec) is None:
        raise PackageError(
            f"the zip of {spec.name} has {size:,} bytes; a function may have {_UNZIPPED // MIB} MB unzipped",
            hint="set functions.<role>.aws.image and leave libraries to the image",
        )


def configuration(config: Config, spec: FunctionSpec, environ: Mapping[str, str], code: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that CreateFunction and UpdateFunctionConfiguration share."""
    image = image_of(spec)
    fields: dict[str, Any] = {
        "FunctionName": platform_name(spec.name),
        "Role": config.role,
        "Description": f"FedKeeper {spec.role} of {spec.fabric}"[:256],
        "Timeout": max(1, spec.timeout_s),
        "MemorySize": spec.memory_mb,
        "EphemeralStorage": {"Size": int(spec.options.get("ephemeral_storage", 512))},
        "Environment": {"Variables": variables(spec, environ, code if image else None)},
    }
    if image:
        return {**fields, "ImageConfig": {"Command": [IMAGE_HANDLER]}}
    layers = list(spec.options.get("layers") or [])
    return {**fields, "Runtime": str(spec.options.get("runtime", "python3.12")), "Handler": HANDLER, "Layers": layers}


def code_of(spec: FunctionSpec, package: bytes, stored: Mapping[str, str] | None) -> dict[str, Any]:
    """The field `Code`. `stored`: where the zip lies in a bucket."""
    if image := image_of(spec):
        return {"ImageUri": image}
    return {"S3Bucket": stored["bucket"], "S3Key": stored["key"]} if stored else {"ZipFile": package}


def architectures(spec: FunctionSpec) -> list[str]:
    return [str(spec.options.get("architecture", "x86_64"))]


def variables(spec: FunctionSpec, environ: Mapping[str, str], stored: Mapping[str, Any] | None) -> dict[str, str]:
    """Lambda's own names travel under a prefix, which the shim takes off."""
    named = {**spec.environment, **_secrets(spec, environ)}
    found = {f"{RESERVED}{name}" if _RESERVED.fullmatch(name) else name: value for name, value in named.items()}
    if stored:
        found[VARIABLE] = f"s3://{stored['bucket']}/{stored['key']}"
    size = sum(len(name.encode()) + len(value.encode()) for name, value in found.items())
    if size > ENVIRONMENT_LIMIT:
        raise DeployError(
            f"the variables of {spec.name} have {size:,} bytes; a Lambda function takes {ENVIRONMENT_LIMIT:,}",
            hint="the largest one most likely is a secret: bind a shorter one",
        )
    return found


def tags(spec: FunctionSpec) -> dict[str, str]:
    """All but the digest, which is written when everything else is done."""
    return {TAG_FABRIC: spec.fabric, TAG_FUNCTION: spec.name, TAG_ROLE: spec.role.value}


def done_tags(spec: FunctionSpec) -> dict[str, str]:
    return {**tags(spec), TAG_DIGEST: spec.digest}


def _secrets(spec: FunctionSpec, environ: Mapping[str, str]) -> dict[str, str]:
    missing = sorted({source for source in spec.secrets.values() if not environ.get(source)})
    if missing:
        names = ", ".join(missing)
        raise AccessDenied(
            f"{spec.name} needs the environment variable {names}, which is not set", hint=f"export {missing[0]}=..."
        )
    return {name: environ[source] for name, source in spec.secrets.items()}


def _exceeds(config: Config, spec: FunctionSpec, what: str, value: str, limit: str) -> str:
    return f"{spec.name}: functions.{spec.role}.{what} of {value} is more than the limit of {limit} ({config.where}.max_{what})"
