"""A FunctionSpec as Google's API wants it, and back: pure functions over plain dicts.

FunctionSpec + Config + options + secrets' values -> {"build_config", "service_config", "labels", ...}
Function of the API -> (name, digest) when its labels and environment say that it is ours
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedkeeper.errors import AccessDenied, ProviderError
from fedkeeper.model import FunctionSpec, Json
from fedkeeper.providers.base import DeployedFunction
from fedkeeper.providers.google.config import Config
from fedkeeper.providers.google.naming import digest_label, label_value, platform_name

ENTRY_POINT = "fedkeeper"
CPU_FOR_MB = ((4096, 1), (8192, 2), (16384, 4), (32768, 8))
"""Whole CPUs and the most memory that goes with them: https://cloud.google.com/run/docs/configuring/services/memory-limits"""
INGRESS = {"all": "ALLOW_ALL", "internal": "ALLOW_INTERNAL_ONLY", "internal-and-gclb": "ALLOW_INTERNAL_AND_GCLB"}


def function_document(
    spec: FunctionSpec, config: Config, settings: Mapping[str, Json], environ: Mapping[str, str]
) -> dict[str, Any]:
    """Everything but the source, in the SDK's field names."""
    options = spec.options
    service: dict[str, Any] = {
        "available_memory": f"{spec.memory_mb}Mi",
        "timeout_seconds": int(spec.timeout_s),
        "max_instance_request_concurrency": int(options.get("concurrency") or 1),
        "min_instance_count": int(options.get("min_instances") or 0),
        "environment_variables": environment_of(spec, config, environ),
        "ingress_settings": INGRESS[str(settings.get("ingress") or "all")],
        "all_traffic_on_latest_revision": True,
    }
    if cpu := cpu_of(spec):
        service["available_cpu"] = cpu
    if options.get("max_instances"):
        service["max_instance_count"] = int(options["max_instances"])
    if settings.get("service_account"):
        service["service_account_email"] = settings["service_account"]
    return {
        "name": f"{config.parent}/functions/{platform_name(spec.name)}",
        "description": f"FedKeeper: {spec.role} of {spec.fabric}",
        "environment": "GEN_2",
        "build_config": {"runtime": str(options.get("runtime") or "python312"), "entry_point": ENTRY_POINT},
        "service_config": service,
        "labels": labels_of(spec),
    }


def labels_of(spec: FunctionSpec) -> dict[str, str]:
    return {
        "fedkeeper-fabric": label_value(spec.fabric),
        "fedkeeper-role": label_value(spec.role.value),
        "fedkeeper-digest": digest_label(spec.digest),
    }


def environment_of(spec: FunctionSpec, config: Config, environ: Mapping[str, str]) -> dict[str, str]:
    missing = [source for source in spec.secrets.values() if not environ.get(source)]
    if missing:
        raise AccessDenied(
            f"{spec.name} needs the environment variable {missing[0]}, which is not set", hint=f"export {missing[0]}=..."
        )
    return {
        **spec.environment,
        **{name: environ[source] for name, source in spec.secrets.items()},
        "FEDKEEPER_FUNCTION": spec.name,
        "FEDKEEPER_FABRIC": spec.fabric,
        "FEDKEEPER_DIGEST": spec.digest,
        "FEDKEEPER_MAX_RESPONSE": str(config.max_response),
        "FEDKEEPER_SETTING": config.setting,
    }


def cpu_of(spec: FunctionSpec) -> str | None:
    """None leaves it to Google (by memory); an instance that serves several requests must have at least one whole CPU."""
    asked = spec.options.get("cpu")
    if asked is not None:
        return f"{float(asked):g}"
    if int(spec.options.get("concurrency") or 1) == 1:
        return None
    return str(next((cpu for memory, cpu in CPU_FOR_MB if spec.memory_mb <= memory), 8))


def check_limits(spec: FunctionSpec, settings: Mapping[str, Json], config: Config) -> None:
    """What the cluster's operator allows, said before anything is uploaded."""
    max_memory = int(settings.get("max_memory", 32768))
    if spec.memory_mb > max_memory:
        raise ProviderError(_exceeds(spec, "memory", f"{spec.memory_mb} MB", f"{max_memory} MB", config))
    if spec.timeout_s > config.max_timeout_s:
        raise ProviderError(_exceeds(spec, "timeout", f"{spec.timeout_s} s", f"{config.max_timeout_s:g} s", config))
    cpu, concurrency = spec.options.get("cpu"), int(spec.options.get("concurrency") or 1)
    if cpu is not None and cpu < 1 and concurrency > 1:
        where = f"functions.{spec.role}.options.google"
        raise ProviderError(f"{spec.name}: {where}.concurrency of {concurrency} needs {where}.cpu of 1 or more, not {cpu:g}")


def _exceeds(spec: FunctionSpec, what: str, value: str, limit: str, config: Config) -> str:
    return f"{spec.name}: functions.{spec.role}.{what} of {value} is more than the limit of {limit} ({config.setting}.max_{what})"


def deployed_of(function: Any, fabric: str) -> DeployedFunction | None:
    """Ours, as the plan knows it; None for anybody else's. One that failed to build or is being deleted has no digest."""
    variables = dict(function.service_config.environment_variables)
    if variables.get("FEDKEEPER_FABRIC") != fabric or "FEDKEEPER_FUNCTION" not in variables:
        return None
    whole = function.state.name in ("ACTIVE", "STATE_UNSPECIFIED")
    digest = variables.get("FEDKEEPER_DIGEST") if whole else None
    return DeployedFunction(variables["FEDKEEPER_FUNCTION"], digest, dict(function.labels))
