"""The environment a function finds itself in: the vendor's own variables, and nothing of this host. Pure.

Sources: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html (reserved and runtime variables),
https://cloud.google.com/run/docs/container-contract#env-vars and .../functions/docs/configuring/env-var (K_*, FUNCTION_*),
https://github.com/apache/openwhisk/blob/master/docs/actions.md (the __OW_ variables; the runner sets them per activation).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from fedkeeper.emulator.shelf import Entry

_PASSED = ("LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH")
"""What an interpreter may need to start at all, and says nothing of the host."""


def host_environment(scratch: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Instead of the operator's environment: a home that is empty, and the system's own programs."""
    passed = {name: environ[name] for name in _PASSED if name in environ}
    return {**passed, "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(scratch), "TZ": "UTC"}


def surroundings(kind: str, entry: Entry) -> dict[str, str]:
    """Every function has its own name in its environment: no two share a process, as on the real platforms."""
    if kind == "aws":
        region = entry.scope.rpartition("/")[2]
        return {
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EXECUTION_ENV": "AWS_Lambda_python",
            "AWS_LAMBDA_FUNCTION_NAME": entry.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(entry.memory_mb),
            "_HANDLER": entry.entry,
        }
    if kind == "google":
        return {
            "K_SERVICE": entry.name,
            "K_CONFIGURATION": entry.name,
            "K_REVISION": f"{entry.name}-{entry.revision:05d}",
            "FUNCTION_TARGET": entry.entry.rpartition(".")[2],
            "FUNCTION_SIGNATURE_TYPE": "http",
            "PORT": "8080",
        }
    namespace = entry.scope
    return {
        "__OW_NAMESPACE": namespace,
        "__OW_ACTION_NAME": f"/{namespace}/{entry.name}",
        "__OW_ACTION_VERSION": f"0.0.{entry.revision}",
    }
