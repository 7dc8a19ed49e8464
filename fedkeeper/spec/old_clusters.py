"""The clusters of a 0.1 file: OpenWhisk and Google, with addresses taken from where version 0.1 took them.

base_url https://KEY@HOST/api/v1/namespaces/NAMESPACE/actions/     -> api_host, namespace; the key becomes ${env:OW_AUTH}
base_url https://REGION-PROJECT.cloudfunctions.net/                -> region, project
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from fedkeeper.model import Json
from fedkeeper.spec.old import Old

_OPENWHISK_URL = re.compile(r"(?:(https?)://)?(?:[^@/]*@)?([^/@]+)(?:/api/v1/namespaces/([^/]+))?(?:/.*)?")
_GOOGLE_URL = re.compile(r"https://([a-z]+-[a-z]+\d+)-([a-z][a-z0-9-]*)\.cloudfunctions\.net.*")
_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_REGION = re.compile(r"[a-z]+-[a-z]+\d+")
_GOOGLE_CLIENT = ("scenarios", "federated_learning", "functions", "fl_client", "google")
_SERVER = ("scenarios", "federated_learning", "server_config", "server_cluster_name")
_UNTOUCHED: Mapping[str, tuple[int, int, int]] = {"openwhisk": (1, 512, 300), "google": (32, 32768, 3600)}
"""What a platform gives by itself: MB of payload, MB of memory, seconds."""


@dataclass
class Clusters:
    """`openwhisk` and `google` are the clusters clients go to, None where the file has none."""

    providers: dict[str, dict[str, dict[str, Json]]]
    server: str
    openwhisk: str | None
    google: str | None


def read(old: Old) -> Clusters:
    providers: dict[str, dict[str, dict[str, Json]]] = {}
    names: dict[str, str] = {}  # old name -> new name
    for kind, make in (("openwhisk", _openwhisk), ("google", _google)):
        for name in old.keys("providers", kind):
            old.keys("providers", kind, name)
            new = _cluster_name(old, kind, name, set(names.values()))
            names.setdefault(name, new)
            providers.setdefault(kind, {})[new] = make(old, ("providers", kind, name), len(providers.get(kind, {})))
    if not names:
        old.problem(("providers",), "there is no OpenWhisk or Google cluster")
    wanted = old.text(*_SERVER)
    openwhisk, google = list(providers.get("openwhisk", {})), list(providers.get("google", {}))
    server = names.get(wanted) or next(iter([*openwhisk, *google]), "")
    if server and wanted not in names:
        old.warn(_SERVER, f"now {server}")
    for unused in [*openwhisk[1:], *google[1:]]:
        if unused != server:
            old.warn((), f"the cluster `{unused}` has no clients: version 0.1 used one cluster of each kind")
    return Clusters(providers, server, server if server in openwhisk else next(iter(openwhisk), None), next(iter(google), None))


def set_limits(clusters: Clusters, payload: int, functions: Mapping[str, Json]) -> None:
    """Version 0.1 needed limits above those of an untouched platform, without saying so."""
    memory = max([int(function.get("memory", 0)) for function in functions.values()] + [2048])
    timeout = max(int(function.get("timeout", 0)) for function in functions.values())
    for kind, (megabytes, most_memory, longest) in _UNTOUCHED.items():
        for settings in clusters.providers.get(kind, {}).values():
            if payload > megabytes * 1024**2:
                settings["max_request"] = settings["max_response"] = f"{math.ceil(payload / 1024**2)}MB"
            if memory > most_memory:
                settings["max_memory"] = memory
            if timeout > longest:
                settings["max_timeout"] = timeout


def _openwhisk(old: Old, path: tuple[str, ...], number: int) -> dict[str, Json]:
    suffix = "" if number == 0 else f"_{number + 1}"
    parts = _OPENWHISK_URL.fullmatch(str(old.get(*path, "base_url")))  # placeholders and all: the namespace is usable
    scheme, host, namespace = parts.groups() if parts else (None, "", None)
    given = _OPENWHISK_URL.fullmatch(old.text(*path, "auth", "ow_api_host"))
    if given:
        scheme, host = given[1] or scheme, given[2]
    settings: dict[str, Json] = {"api_host": f"{scheme or 'https'}://{host}", "auth": f"${{env:OW_AUTH{suffix}}}"}
    if not _HOST.fullmatch(host) or host == "None":
        settings["api_host"] = f"${{env:OW_API_HOST{suffix}}}"
        old.warn((*path, "base_url"), f"the address becomes {settings['api_host']}: set that variable to https://HOST:PORT")
    old.get(*path, "auth", "ow_auth")
    old.warn((*path, "auth", "ow_auth"), f"the key becomes {settings['auth']}: set that variable to user:password")
    if namespace and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_@.-]*", namespace):
        settings["namespace"] = namespace
    old.warn(path, "certificates are checked now; for one signed by yourself set ca_file, or verify_tls: false as in version 0.1")
    old.warn(
        path, "its max_... limits are what these functions need; version 0.1 needed them too, the operator must have set them"
    )
    return settings


def _google(old: Old, path: tuple[str, ...], number: int) -> dict[str, Json]:
    suffix = "" if number == 0 else f"_{number + 1}"
    parts = _GOOGLE_URL.fullmatch(old.text(*path, "base_url"))
    project = old.text(*path, "auth", "project_id") or (parts[2] if parts else "")
    region = old.text(*_GOOGLE_CLIENT, "region") or (parts[1] if parts else "")
    if not re.fullmatch(r"[A-Za-z0-9.:-]+", project):
        project = f"${{env:GOOGLE_CLOUD_PROJECT{suffix}}}"
        old.warn((*path, "auth", "project_id"), f"the project becomes {project}: set that variable")
    credentials = f"${{env:GOOGLE_APPLICATION_CREDENTIALS{suffix}}}"
    for key in old.keys(*path, "auth"):
        old.get(*path, "auth", key)
    old.warn((*path, "auth"), f"the service account becomes {credentials}: set that variable to the path of its JSON file")
    return {"project": project, "region": region if _REGION.fullmatch(region) else "us-central1", "credentials": credentials}


def _cluster_name(old: Old, kind: str, name: str, taken: set[str]) -> str:
    new = re.sub(r"[^A-Za-z0-9_-]", "-", name)[:50]
    new = new if _NAME.fullmatch(new) else f"{kind}-{new}".rstrip("-")
    number = 2
    base = new
    while new in taken:
        new, number = f"{base}-{number}", number + 1
    if new != name:
        old.warn(("providers", kind, name), f"the cluster is called {new} now")
    return new
