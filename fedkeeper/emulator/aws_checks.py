"""What Lambda checks of a function's configuration and code before it takes them. Pure.

    request body --configuration(before)--> FunctionConfiguration          request body --code_of--> the zip's bytes

Settings that change nothing here (VpcConfig, TracingConfig, ...) are kept and shown. Layers do not exist, file systems and images are
refused. Sources: botocore's service model and https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from typing import Any

from fedkeeper.emulator.aws_wire import Refused, invalid, violated
from fedkeeper.emulator.limits import KIB, AwsLimits

RUNTIMES = tuple(f"python3.{minor}" for minor in range(9, 16))
ROLE = re.compile(r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+")
VARIABLE = re.compile(r"[a-zA-Z]([a-zA-Z0-9_])+")
_RESERVED = (
    "_HANDLER _X_AMZN_TRACE_ID AWS_DEFAULT_REGION AWS_REGION AWS_EXECUTION_ENV AWS_LAMBDA_FUNCTION_NAME "
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE AWS_LAMBDA_FUNCTION_VERSION AWS_LAMBDA_INITIALIZATION_TYPE AWS_LAMBDA_LOG_GROUP_NAME "
    "AWS_LAMBDA_LOG_STREAM_NAME AWS_ACCESS_KEY AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_LAMBDA_RUNTIME_API "
    "LAMBDA_TASK_ROOT LAMBDA_RUNTIME_DIR"
)
RESERVED = frozenset(_RESERVED.split())
KEPT = ("DeadLetterConfig", "KMSKeyArn", "LoggingConfig", "VpcConfig")
MAX_TAGS = 50
Document = Mapping[str, Any]


def created(document: Document, limits: AwsLimits) -> dict[str, Any]:
    """The configuration of a new function, with every default."""
    if document.get("PackageType", "Zip") != "Zip" or (document.get("Code") or {}).get("ImageUri"):
        raise invalid("This emulator runs functions of PackageType Zip only.")
    if document.get("Role") is None:
        raise violated(None, "role", "Member must not be null")
    if not document.get("Runtime") or not document.get("Handler"):
        raise invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
    tags_of(document.get("Tags") or {})
    defaults = {
        "Description": "",
        "Timeout": int(limits.default_timeout_s),
        "MemorySize": limits.default_memory_mb,
        "TracingConfig": {"Mode": "PassThrough"},
        "Architectures": document.get("Architectures") or ["x86_64"],
        "EphemeralStorage": {"Size": limits.min_ephemeral_mb},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "PackageType": "Zip",
    }
    return changed(defaults, document, limits)


def changed(before: Document, document: Document, limits: AwsLimits) -> dict[str, Any]:
    """`before` with what `document` says differently."""
    if document.get("Publish"):
        raise invalid("This emulator keeps no versions but $LATEST: leave out Publish.")
    if document.get("Layers"):
        layer = document["Layers"][0]
        raise invalid(f"Layer version {layer} does not exist.")
    if document.get("FileSystemConfigs"):
        raise invalid("This emulator has no file systems: leave out FileSystemConfigs.")
    after = dict(before)
    for name, check in _CHECKS.items():
        if (value := document.get(name)) is not None:
            check(value, limits)
            after[name] = value
    for name in (*KEPT, "TracingConfig"):
        if document.get(name):
            after[name] = document[name]
    if (environment := document.get("Environment")) is not None:
        _environment(environment.get("Variables") or {}, limits)
        after["Environment"] = {"Variables": dict(environment.get("Variables") or {})}
        if not after["Environment"]["Variables"]:
            del after["Environment"]
    return after


def code_of(document: Document, limits: AwsLimits) -> bytes:
    """The zip out of Code, or out of UpdateFunctionCode's own body."""
    if document.get("ImageUri"):
        raise invalid("This emulator runs functions of PackageType Zip only.")
    if document.get("S3Bucket") or document.get("S3Key"):
        text = "S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist"
        raise invalid(f"Error occurred while GetObject. {text}")
    if document.get("ZipFile") is None:
        raise invalid("Please provide a source for function code.")
    try:
        package = base64.b64decode(document["ZipFile"], validate=True)
    except (binascii.Error, TypeError, ValueError) as exc:
        raise Refused("SerializationException", "ZipFile is not base64.") from exc
    _zip(package, limits)
    return package


def code_fields(package: bytes) -> dict[str, Any]:
    return {"CodeSize": len(package), "CodeSha256": base64.b64encode(hashlib.sha256(package).digest()).decode()}


def upload_limit(limits: AwsLimits) -> int:
    """Bytes of a request that carries a zip: the zip in base64, and something for the rest."""
    return -(-(limits.max_zip + 192 * KIB) * 4 // 3)


def tags_of(tags: Any) -> dict[str, str]:
    if not isinstance(tags, dict) or not all(isinstance(text, str) for pair in tags.items() for text in pair):
        raise Refused("SerializationException", "Tags is no map of strings.")
    if any(name.lower().startswith("aws:") for name in tags):
        raise invalid("aws: prefixed tag key names are not allowed for external use.")
    if any(not 1 <= len(name) <= 128 or len(value) > 256 for name, value in tags.items()):
        raise invalid("A tag's key has 1 to 128 characters, its value up to 256.")
    if len(tags) > MAX_TAGS:
        raise invalid(f"The number of tags exceeds {MAX_TAGS}.")
    return dict(tags)


def _zip(package: bytes, limits: AwsLimits) -> None:
    if not package:
        raise invalid("Uploaded file must be a non-empty zip")
    if len(package) > limits.max_zip:
        raise Refused("RequestEntityTooLargeException", f"Zip file must be smaller than {limits.max_zip} bytes")
    try:
        with zipfile.ZipFile(io.BytesIO(package)) as archive:
            size = sum(info.file_size for info in archive.infolist())
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError) as exc:
        text = "Could not unzip uploaded file. Please check your file, then try to upload again."
        raise invalid(text) from exc
    if not size:
        raise invalid("Uploaded file must be a non-empty zip")
    if size > limits.max_unzipped:
        raise invalid(f"Unzipped size must be smaller than {limits.max_unzipped} bytes")


def _role(value: Any, _: AwsLimits) -> None:
    if not isinstance(value, str) or not ROLE.fullmatch(value):
        raise invalid("The role defined for the function cannot be assumed by Lambda.")


def _runtime(value: Any, _: AwsLimits) -> None:
    if value not in RUNTIMES:
        text = f"Member must satisfy enum value set: [{', '.join(RUNTIMES)}] or be a valid ARN"
        raise invalid(f"Value {value} at 'runtime' failed to satisfy constraint: {text}")


def _handler(value: Any, _: AwsLimits) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"[^\s]+", value):
        raise violated(value, "handler", r"Member must satisfy regular expression pattern: [^\s]+")
    if len(value) > 128:
        raise violated(value, "handler", "Member must have length less than or equal to 128")


def _description(value: Any, _: AwsLimits) -> None:
    if not isinstance(value, str) or len(value) > 256:
        raise violated(value, "description", "Member must have length less than or equal to 256")


def _timeout(value: Any, limits: AwsLimits) -> None:
    _range(value, "timeout", int(limits.min_timeout_s), int(limits.max_timeout_s))


def _memory(value: Any, limits: AwsLimits) -> None:
    _range(value, "memorySize", limits.min_memory_mb, limits.max_memory_mb)


def _ephemeral(value: Any, limits: AwsLimits) -> None:
    _range((value or {}).get("Size"), "ephemeralStorage.size", limits.min_ephemeral_mb, limits.max_ephemeral_mb)


def _range(value: Any, member: str, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused("SerializationException", f"{member} is no integer")
    if value < least:
        raise violated(value, member, f"Member must have value greater than or equal to {least}")
    if value > most:
        raise violated(value, member, f"Member must have value less than or equal to {most}")


def _environment(variables: Any, limits: AwsLimits) -> None:
    """Lambda's own message repeats the values; ours does not."""
    if not isinstance(variables, dict) or not all(isinstance(value, str) for value in variables.values()):
        raise Refused("SerializationException", "Environment.Variables is no map of strings.")
    for name in variables:
        if not VARIABLE.fullmatch(name):
            text = r"Map keys must satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]"
            raise violated(name, "environment.variables", text)
    start = "Lambda was unable to configure your environment variables because the environment variables you have provided"
    if taken := sorted(RESERVED.intersection(variables)):
        what = "contains reserved keys that are currently not supported for modification. Reserved keys used in this request:"
        raise invalid(f"{start} {what} {', '.join(taken)}")
    if len(json.dumps(variables, ensure_ascii=False, separators=(",", ":")).encode()) > limits.max_environment:
        raise invalid(f"{start} exceeded the {limits.max_environment // KIB}KB limit.")


_CHECKS = {
    "Role": _role,
    "Runtime": _runtime,
    "Handler": _handler,
    "Description": _description,
    "Timeout": _timeout,
    "MemorySize": _memory,
    "EphemeralStorage": _ephemeral,
}
