"""What the v2 API accepts as a function, and what it makes of it: pure functions over the API's own JSON.

body --checked(limits)--> document --settled--> put(memory, timeout, environment, entry)    --shown--> Function of the answer
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedkeeper.emulator.google_wire import Refused, camel, timestamp
from fedkeeper.emulator.limits import GoogleLimits
from fedkeeper.emulator.stored import Stored

_FUNCTION = (
    "name description buildConfig serviceConfig eventTrigger state updateTime labels stateMessages environment url "
    "kmsKeyName satisfiesPzs createTime upgradeInfo satisfiesPzi"
)
_BUILD = (
    "automaticUpdatePolicy onDeployUpdatePolicy build runtime entryPoint source sourceProvenance workerPool "
    "environmentVariables dockerRegistry dockerRepository serviceAccount sourceToken"
)
_SERVICE = (
    "service timeoutSeconds availableMemory availableCpu environmentVariables maxInstanceCount minInstanceCount vpcConnector "
    "vpcConnectorEgressSettings ingressSettings uri serviceAccountEmail allTrafficOnLatestRevision "
    "secretEnvironmentVariables secretVolumes revision maxInstanceRequestConcurrency securityLevel binaryAuthorizationPolicy"
)
FIELDS: Mapping[str, frozenset[str]] = {
    "function": frozenset(_FUNCTION.split()),
    "function.build_config": frozenset(_BUILD.split()),
    "function.service_config": frozenset(_SERVICE.split()),
}
"""google/cloud/functions/v2/functions.proto"""
NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
LABEL_KEY, LABEL_VALUE = re.compile(r"[a-z][a-z0-9_-]{0,62}"), re.compile(r"[a-z0-9_-]{0,63}")
RUNTIME = re.compile(r"python3(10|11|12|13|14)")
QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(k|M|G|Ki|Mi|Gi)?")
UNITS = {None: 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
CPU_BY_MB = ((128, 0.083), (256, 0.1666), (512, 0.3333), (1024, 0.5833), (2048, 1), (8192, 2), (16384, 4), (32768, 8))
OUTPUT_ONLY = ("state", "stateMessages", "url", "updateTime", "createTime", "environment")


@dataclass(frozen=True)
class Settled:
    """What the platform below needs to know."""

    memory_mb: int
    timeout_s: float
    environment: Mapping[str, str]
    entry: str
    capacity: int  # requests at the same time: instances x requests of one


def check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise Refused(
            400,
            f"Invalid function name: {name!r}. Use lower case letters, digits and hyphens, a letter first, at most 63 characters.",
        )


def checked(document: Mapping[str, Any], limits: GoogleLimits) -> Settled:
    """Refused when Google would not take it."""
    _known(document)
    build, service = document.get("buildConfig") or {}, document.get("serviceConfig") or {}
    if not RUNTIME.fullmatch(str(build.get("runtime", ""))):
        raise Refused(400, f"Runtime {build.get('runtime')!r} is not supported on 2nd Gen functions here.")
    if not str(build.get("entryPoint", "")).isidentifier():
        raise Refused(400, f"Invalid build_config.entry_point: {build.get('entryPoint')!r}")
    _check_labels(document.get("labels") or {})
    return _settled(str(build["entryPoint"]), service, limits)


def _settled(entry: str, service: Mapping[str, Any], limits: GoogleLimits) -> Settled:
    memory = memory_mb(str(service.get("availableMemory") or f"{limits.default_memory_mb}M"))
    _in_range("available_memory (MiB)", memory, limits.min_memory_mb, limits.max_memory_mb)
    timeout = float(service.get("timeoutSeconds") or limits.default_timeout_s)
    _in_range("timeout_seconds", timeout, limits.min_timeout_s, limits.max_timeout_s)
    concurrency = int(service.get("maxInstanceRequestConcurrency") or 1)
    _in_range("max_instance_request_concurrency", concurrency, 1, 1000)
    if concurrency > 1 and cpu_of(service, memory) < 1:
        raise Refused(400, "Could not update the service: Total cpu < 1 is not supported with concurrency > 1.")
    environment = {str(name): str(value) for name, value in (service.get("environmentVariables") or {}).items()}
    _check_environment(environment, limits)
    return Settled(memory, timeout, environment, f"main.{entry}", concurrency * instances(service, limits))


def instances(service: Mapping[str, Any], limits: GoogleLimits) -> int:
    return int(service.get("maxInstanceCount") or limits.max_concurrency)


def cpu_of(service: Mapping[str, Any], memory: int) -> float:
    given = str(service.get("availableCpu") or "")
    if given:
        return float(given[:-1]) / 1000 if given.endswith("m") else float(given)
    return next((cpu for most, cpu in CPU_BY_MB if memory <= most), 8)


def memory_mb(text: str) -> int:
    match = QUANTITY.fullmatch(text)
    if not match:
        raise Refused(400, f"Invalid available_memory: {text!r}")
    return round(float(match[1]) * UNITS[match[2]] / 2**20)


def merged(old: Mapping[str, Any], new: Mapping[str, Any], mask: str | None) -> dict[str, Any]:
    """`old` with the fields of the mask taken from `new`; no mask means all of them."""
    paths = [".".join(camel(part) for part in path.split(".")) for path in mask.split(",")] if mask else list(new)
    result = dict(old)
    for path in paths:
        head, _, rest = path.partition(".")
        if head not in FIELDS["function"]:
            raise Refused(400, f"Invalid update_mask: {path!r} is not a field of Function.")
        result[head] = _with_path(result.get(head) or {}, new.get(head) or {}, rest) if rest else new.get(head)
    return {name: value for name, value in result.items() if value is not None}


def _with_path(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> dict[str, Any]:
    head, _, rest = path.partition(".")
    value = _with_path(old.get(head) or {}, new.get(head) or {}, rest) if rest else new.get(head)
    return {name: item for name, item in {**old, head: value}.items() if item is not None}


def shown(stored: Stored, base_url: str, limits: GoogleLimits) -> dict[str, Any]:
    """The Function of a response: what was given, the defaults, and what only the platform knows."""
    project, region = stored.scope.split("/")
    url = f"{base_url}/run/{project}/{region}/{stored.name}"
    build, service = dict(stored.meta["buildConfig"]), dict(stored.meta["serviceConfig"])
    memory = memory_mb(str(service.get("availableMemory") or f"{limits.default_memory_mb}M"))
    environment = {"LOG_EXECUTION_ID": "true", **(service.get("environmentVariables") or {})}
    service = {
        "timeoutSeconds": int(limits.default_timeout_s),
        "availableMemory": f"{limits.default_memory_mb}M",
        "availableCpu": f"{cpu_of(service, memory):g}",
        "maxInstanceCount": limits.max_concurrency,
        "maxInstanceRequestConcurrency": 1,
        "ingressSettings": "ALLOW_ALL",
        "serviceAccountEmail": f"000000000000-compute@{project}.iam.gserviceaccount.com",
        "allTrafficOnLatestRevision": True,
        **service,
        "environmentVariables": environment,
        "service": f"projects/{project}/locations/{region}/services/{stored.name}",
        "uri": url,
        "revision": f"{stored.name}-{stored.revision:05d}-emu",
    }
    return {
        **{name: value for name, value in stored.meta.items() if name not in OUTPUT_ONLY},
        "name": f"projects/{project}/locations/{region}/functions/{stored.name}",
        "buildConfig": {"dockerRegistry": "ARTIFACT_REGISTRY", **build},
        "serviceConfig": service,
        "state": "ACTIVE",
        "environment": "GEN_2",
        "createTime": timestamp(stored.created),
        "updateTime": timestamp(stored.updated),
        "url": url,
    }


def _known(document: Mapping[str, Any]) -> None:
    parts = {
        "function": document,
        "function.build_config": document.get("buildConfig") or {},
        "function.service_config": document.get("serviceConfig") or {},
    }
    for where, part in parts.items():
        for name in part:
            if name not in FIELDS[where]:
                text = f"Invalid JSON payload received. Unknown name \"{name}\" at '{where}': Cannot find field."
                raise Refused(400, text)


def _in_range(what: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise Refused(400, f"Invalid service_config.{what}: {value:g} is not within [{least:g}, {most:g}].")


def _check_environment(environment: Mapping[str, str], limits: GoogleLimits) -> None:
    for name in environment:
        if not name or "=" in name or name.startswith("X_GOOGLE_"):
            raise Refused(400, f"Invalid environment variable name: {name!r}")
    size = sum(len(name.encode()) + len(value.encode()) for name, value in environment.items())
    if size > limits.max_environment:
        raise Refused(400, f"The environment variables take {size} bytes; {limits.max_environment} are allowed.")


def _check_labels(labels: Mapping[str, Any]) -> None:
    if len(labels) > 64:
        raise Refused(400, "No more than 64 labels can be associated with a resource.")
    for key, value in labels.items():
        if not LABEL_KEY.fullmatch(key) or not LABEL_VALUE.fullmatch(str(value)):
            raise Refused(400, f"Invalid label: {key}={value}")
