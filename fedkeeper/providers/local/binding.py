"""From a deployed function to what the platform process needs to run it: folder, environment, keys. Pure.

    FunctionSpec + operator's environment -> Binding(zygote environment, worker environment with secrets, keys)

A worker sees a minimal environment, the function's own, and its secrets; nothing else of the operator's. Secrets travel in
frames over the platform's socket: they are never in a file, a command line or a process' initial environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from fedkeeper.errors import AccessDenied
from fedkeeper.model import FunctionSpec, Json, digest_of
from fedkeeper.providers.local.config import LocalConfig
from fedkeeper.providers.local.requirements import preload_of

PASSED = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "KERAS_BACKEND")
"""What a worker sees of the operator's environment."""

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
"""Thread counts change the last bits of results: they are set before anything is imported."""

QUIET: Mapping[str, str] = MappingProxyType({"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"})

IMPORT_TIME = ("OMP_", "OPENBLAS_", "MKL_", "VECLIB_", "NUMEXPR_", "TF_", "KERAS_", "XLA_", "JAX_", "CUDA_", "TORCH_", "PYTORCH_")
"""Variables that libraries read when they are imported: a function that sets one gets a zygote of its own."""


@dataclass(frozen=True)
class Binding:
    """One function, ready to be defined on a platform process. Equal `key`: nothing to define again."""

    key: str
    definition: Mapping[str, Json]


def bind(spec: FunctionSpec, package: Path, config: LocalConfig, environ: Mapping[str, str]) -> Binding:
    """AccessDenied when a secret's variable is not set."""
    base = base_environment(config.threads, environ)
    at_import = {name: value for name, value in spec.environment.items() if name.startswith(IMPORT_TIME)}
    zygote_environment = {**base, **at_import}
    environment = {**base, **spec.environment, **resolve_secrets(spec, environ)}
    preload = preload_of(spec.requirements)
    waits = bool(spec.options.get("waits"))
    zygote_key = digest_of([preload, zygote_environment])
    definition: dict[str, Json] = {
        "name": spec.name,
        "role": str(spec.role),
        "digest": spec.digest,
        "package": str(package),
        "worker_key": digest_of([spec.package, environment, spec.memory_mb, zygote_key, waits]),
        "zygote_key": zygote_key,
        "preload": preload,
        "zygote_environment": zygote_environment,
        "environment": environment,
        "timeout_s": float(spec.timeout_s),
        "memory_mb": spec.memory_mb,
        "waits": waits,
    }
    return Binding(digest_of(definition), definition)


def base_environment(threads: int, environ: Mapping[str, str]) -> dict[str, str]:
    passed = {name: environ[name] for name in PASSED if name in environ}
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", **passed, **dict.fromkeys(THREADS, str(threads)), **QUIET}


def resolve_secrets(spec: FunctionSpec, environ: Mapping[str, str]) -> dict[str, str]:
    """The function's secret variables with the values that the operator's environment has now."""
    absent = [source for source in spec.secrets.values() if source not in environ]
    if absent:
        names = ", ".join(sorted(set(absent)))
        raise AccessDenied(
            f"{spec.name} needs the environment variable {names}, which is not set", hint=f"set {names} and try again"
        )
    return {variable: environ[source] for variable, source in spec.secrets.items()}
