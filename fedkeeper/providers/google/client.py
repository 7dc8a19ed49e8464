"""The wire to the Cloud Functions v2 API: upload, create, update, delete, list. Google's exceptions end here.

package --generateUploadUrl, PUT--> storage source --create | patch--> operation --polled--> done, or an error of the build
every write goes through the Gate (429 -> wait and go on)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fedkeeper.errors import MissingExtra, PayloadTooLarge, ProviderError, Throttled, Unreachable
from fedkeeper.providers.google.config import Config
from fedkeeper.providers.google.errors import translated
from fedkeeper.providers.google.identity import Identity
from fedkeeper.providers.google.naming import label_value
from fedkeeper.providers.google.quota import Gate

ASK_S = 60.0  # one request to the API
UPLOAD_S = 300.0
BUILD_S = 1800.0  # an image with TensorFlow takes Google several minutes
PAGE = 200
MASK = ("build_config", "service_config", "labels", "description")


class AlreadyThere(ProviderError):
    """A function of that name exists."""


class ControlPlane:
    """One project and region. The SDK is loaded and the credentials are looked for at the first use."""

    def __init__(self, config: Config, identity: Identity, gate: Gate | None = None) -> None:
        self._config, self._identity = config, identity
        self._gate = gate or Gate(per_minute=config.writes_per_minute)
        self._uploads = Gate()  # not what the quota counts
        self._sdk, self._api = _libraries()
        self._client: Any = None

    # --- reading -------------------------------------------------------------------------------------------------
    def functions(self, fabric: str) -> list[Any]:
        """Functions with the fabric's label, all pages."""
        request = {"parent": self._config.parent, "page_size": PAGE}
        wanted = label_value(fabric)
        with self._border("listing functions"):
            try:
                found = list(self._pages({**request, "filter": f'labels.fedkeeper-fabric="{wanted}"'}))
            except self._api.exceptions.BadRequest:  # a filter it does not understand: all of them, chosen here
                found = list(self._pages(request))
        return [function for function in found if function.labels.get("fedkeeper-fabric") == wanted]

    def _pages(self, request: dict[str, Any]) -> Iterator[Any]:
        return iter(self._connected().list_functions(request, timeout=ASK_S))

    # --- writing -------------------------------------------------------------------------------------------------
    def create(self, document: dict[str, Any], package: bytes) -> None:
        """AlreadyThere when the name is taken."""
        name = _short_name(document)
        source = self._upload(name, package)
        function = self._function(document, source)
        request = {"parent": self._config.parent, "function": function, "function_id": name}
        self._write(f"creating {name}", name, lambda: self._connected().create_function(request, timeout=ASK_S))

    def update(self, document: dict[str, Any], package: bytes) -> None:
        """FunctionNotFound when there is none."""
        name = _short_name(document)
        self._exists(document["name"], name)
        function = self._function(document, self._upload(name, package))
        request = {"function": function, "update_mask": {"paths": list(MASK)}}
        self._write(f"updating {name}", name, lambda: self._connected().update_function(request, timeout=ASK_S))

    def delete(self, name: str) -> None:
        """FunctionNotFound when there is none."""
        request = {"name": f"{self._config.parent}/functions/{name}"}
        self._write(f"deleting {name}", name, lambda: self._connected().delete_function(request, timeout=ASK_S))

    def close(self) -> None:
        if self._client is not None:
            self._client.transport.close()

    # --- inside --------------------------------------------------------------------------------------------------
    def _exists(self, full_name: str, name: str) -> None:
        with self._border(f"updating {name}", name):
            self._connected().get_function({"name": full_name}, timeout=ASK_S)

    def _write(self, doing: str, name: str, start: Callable[[], Any]) -> None:
        """Start an operation when the quota lets us, and see it end."""

        def attempt() -> Any:
            with self._border(doing, name):
                return start()

        operation = self._gate.through(attempt)
        with self._border(doing, name):
            operation.result(timeout=BUILD_S, retry=self._patient(), polling=self._often())

    def _upload(self, name: str, package: bytes) -> Any:
        doing = f"uploading the package of {name}"

        def ask() -> Any:
            with self._border(doing):
                request = {"parent": self._config.parent, "environment": "GEN_2"}
                return self._connected().generate_upload_url(request, timeout=ASK_S)

        target = self._uploads.through(ask)
        self._uploads.through(lambda: self._put(doing, target.upload_url, package))
        return target.storage_source

    def _put(self, doing: str, url: str, package: bytes) -> None:
        """The address is signed: our own credentials must not go with it."""
        import requests

        try:
            answer = requests.put(
                url, data=package, headers={"content-type": "application/zip"}, auth=lambda request: request, timeout=UPLOAD_S
            )
        except requests.RequestException as exc:
            raise translated(exc, self._config, doing) from exc
        if answer.status_code == 200:
            return
        line = f"{doing} ({self._config.setting}): HTTP {answer.status_code}, {' '.join(answer.text.split())[:300]}"
        if answer.status_code == 429:
            raise Throttled(line)
        if answer.status_code == 413:
            raise PayloadTooLarge(line, hint="keep data out of the package: give the task a URL instead")
        raise (Unreachable if answer.status_code >= 500 else ProviderError)(line)

    def _function(self, document: dict[str, Any], source: Any) -> Any:
        build = {**document["build_config"], "source": {"storage_source": source}}
        return self._sdk.Function({**document, "build_config": build})

    def _connected(self) -> Any:
        if self._client is None:
            from google.api_core.client_options import ClientOptions

            options = ClientOptions(api_endpoint=self._config.endpoint) if self._config.endpoint else None
            self._client = self._sdk.FunctionServiceClient(
                transport="rest", credentials=self._identity.control(), client_options=options
            )
        return self._client

    def _often(self) -> Any:
        from google.api_core.future import polling

        return polling.DEFAULT_POLLING.with_delay(initial=0.2, maximum=10.0, multiplier=1.5)

    def _patient(self) -> Any:
        """A poll that fails is not a build that fails."""
        api = self._api.exceptions
        fleeting = self._api.retry.if_exception_type(api.TooManyRequests, api.ServiceUnavailable, api.GatewayTimeout)
        return self._api.retry.Retry(predicate=fleeting, initial=1.0, maximum=20.0, timeout=300.0)

    @contextmanager
    def _border(self, doing: str, function: str | None = None) -> Iterator[None]:
        try:
            yield
        except (ProviderError, MissingExtra):
            raise
        except self._api.exceptions.AlreadyExists as exc:
            raise AlreadyThere(f"{doing}: {exc.message}") from exc
        except self._api.exceptions.Conflict as exc:
            if "already exists" in str(exc.message):
                raise AlreadyThere(f"{doing}: {exc.message}") from exc
            raise Throttled(f"{doing}: another operation on it is under way: {exc.message}") from exc
        except Exception as exc:
            raise translated(exc, self._config, doing, function) from exc


def _short_name(document: dict[str, Any]) -> str:
    return str(document["name"]).rsplit("/", 1)[-1]


def _libraries() -> tuple[Any, Any]:
    try:
        from google import api_core
        from google.api_core import exceptions, retry  # noqa: F401 - used through api_core
        from google.cloud import functions_v2
    except ImportError as exc:
        raise MissingExtra("google-cloud-functions", "google", "deploying to a google cluster") from exc
    return functions_v2, api_core
