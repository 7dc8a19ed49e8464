"""Cloud Functions v2 (REST) over one platform: https://cloud.google.com/functions/docs/reference/rest

    request -> token, project, region, quota -> Control.<method> -> JSON        refused: {"error": {...}}
    create / patch / delete -> Operation; the work goes on in the background, GET /v2/.../operations/ID tells

Also here: the signed uploads (google_uploads), the functions' own URLs (google_run) and the token endpoint (google_tokens).
Not emulated: IAM policies, generateDownloadUrl, event triggers, secrets of Secret Manager, functions left in state FAILED.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fedkeeper.emulator.core import Api
from fedkeeper.emulator.google_checks import check_name, checked, merged, shown
from fedkeeper.emulator.google_listing import filter_of, page_of
from fedkeeper.emulator.google_operations import V2, Operations
from fedkeeper.emulator.google_quota import Quota
from fedkeeper.emulator.google_run import QUEUE_S, Door
from fedkeeper.emulator.google_tokens import Tokens
from fedkeeper.emulator.google_uploads import Uploads
from fedkeeper.emulator.google_wire import SERVICE, Refused, answer, named
from fedkeeper.emulator.limits import GoogleLimits
from fedkeeper.errors import FedKeeperError

_REGIONS = (
    "africa-south1 asia-east1 asia-east2 asia-northeast1 asia-northeast2 asia-northeast3 asia-south1 asia-south2 asia-southeast1 "
    "asia-southeast2 australia-southeast1 australia-southeast2 europe-central2 europe-north1 europe-southwest1 europe-west1 "
    "europe-west2 europe-west3 europe-west4 europe-west6 europe-west8 europe-west9 europe-west10 europe-west12 me-central1 "
    "me-central2 me-west1 northamerica-northeast1 northamerica-northeast2 southamerica-east1 southamerica-west1 us-central1 "
    "us-east1 us-east4 us-east5 us-south1 us-west1 us-west2 us-west3 us-west4"
)
REGIONS = tuple(_REGIONS.split())
"""https://cloud.google.com/functions/docs/locations"""
PYTHONS = ("python310", "python311", "python312", "python313", "python314")
API = f"https://{SERVICE}/"
Handler = Callable[[Request, str, str], Awaitable[Response]]


def routes(api: Api, *, queue_s: float = QUEUE_S) -> list[Route]:
    control, at = Control(api), "/v2/projects/{project}/locations/{region}"
    tokens = control.tokens
    door = Door(api, tokens, queue_s)
    one = at + "/functions/{name}"

    def route(path: str, method: str, permission: str, handler: Handler) -> Route:
        return Route(path, control.guarded(permission, handler), methods=[method])

    async def token(request: Request) -> Response:
        return await exchange(request, tokens, api.clock)

    return [
        route(at + "/functions:generateUploadUrl", "POST", "functions.sourceCodeSet", control.upload_url),
        route(at + "/functions", "POST", "functions.create", control.create),
        route(at + "/functions", "GET", "functions.list", control.list),
        route(one, "GET", "functions.get", control.get),
        route(one, "PATCH", "functions.update", control.patch),
        route(one, "DELETE", "functions.delete", control.delete),
        route(at + "/operations/{operation}", "GET", "operations.get", control.operation),
        route(at + "/operations", "GET", "operations.list", control.operation_list),
        route(at + "/runtimes", "GET", "runtimes.list", control.runtimes),
        route("/v2/projects/{project}/locations", "GET", "locations.list", control.locations),
        Route("/v2/{rest:path}", _nothing, methods=["GET", "POST", "PATCH", "PUT", "DELETE"]),
        Route("/upload/{bucket}/{object}", control.uploads.put, methods=["PUT"]),
        Route("/google/token", token, methods=["POST"]),
        Route("/run/{project}/{region}/{name}{path:path}", door.enter, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]),
    ]


class Control:
    """The control plane. Methods run on the event loop; what touches files runs in threads."""

    def __init__(self, api: Api) -> None:
        self.api, self.platform, self.clock = api, api.platform, api.clock
        limits = api.limits
        assert isinstance(limits, GoogleLimits)
        self.limits = limits
        secret = api.credentials.google_token
        self.tokens = Tokens(secret)
        self.uploads = Uploads(secret, api.base_url, limits.max_source, api.clock)
        self.operations = Operations(api.clock)
        self.quota = Quota(limits)

    def guarded(self, permission: str, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        kind = {"create": "write", "update": "write", "delete": "write", "get": "read", "list": "read"}
        name, verb = permission.split(".")

        async def guard(request: Request) -> Response:
            project, region = request.path_params["project"], request.path_params.get("region", "-")
            try:
                self._admit(request, permission, project, region)
                if name == "functions" and verb in kind:
                    self.quota.take(kind[verb], project, region, self.clock())
                return await handler(request, project, region)
            except Refused as exc:
                return exc.response()

        return guard

    def _admit(self, request: Request, permission: str, project: str, region: str) -> None:
        if wrong := self.tokens.accepts(request.headers.get("authorization"), API, self.clock(), self_signed=True):
            raise _unauthenticated(wrong)
        if project != self.api.credentials.google_project:
            what, resource = f"cloudfunctions.{permission}", f"projects/{project}/locations/{region}"
            text = f"Permission '{what}' denied on resource '{resource}' (or resource may not exist)."
            metadata = {"permission": what, "resource": resource}
            raise Refused(403, text, reason="IAM_PERMISSION_DENIED", metadata=metadata)
        if region != "-" and region not in REGIONS:
            raise Refused(403, f"Permission denied on 'locations/{region}' (or it may not exist)")

    # --- functions -----------------------------------------------------------------------------------------------
    async def upload_url(self, request: Request, project: str, region: str) -> Response:
        await _body(request)
        return answer(request, self.uploads.make(project, region))

    async def create(self, request: Request, project: str, region: str) -> Response:
        document, name = named(await _body(request)), request.query_params.get("functionId", "")
        check_name(name)
        target = f"projects/{project}/locations/{region}/functions/{name}"
        settled = checked(document, self.limits)
        scope = f"{project}/{region}"
        listed = await asyncio.to_thread(self.platform.list, scope)
        if any(stored.name == name for stored in listed):
            raise Refused(409, f"Resource '{target}' already exists")
        if len(listed) >= self.limits.max_functions:
            raise Refused(429, f"The number of functions in the region {region} has reached {self.limits.max_functions}.")
        package = self._source(document)
        return answer(request, self.operations.start("create", target, self._deploying(scope, name, document, package, settled)))

    async def patch(self, request: Request, project: str, region: str) -> Response:
        scope, name = f"{project}/{region}", request.path_params["name"]
        stored, target = await self._found(scope, name)
        document = merged(stored.meta, named(await _body(request)), request.query_params.get("updateMask"))
        settled = checked(document, self.limits)
        changed = document["buildConfig"].get("source") != stored.meta["buildConfig"].get("source")
        package = self._source(document) if changed else b""
        return answer(request, self.operations.start("update", target, self._deploying(scope, name, document, package, settled)))

    async def delete(self, request: Request, project: str, region: str) -> Response:
        scope, name = f"{project}/{region}", request.path_params["name"]
        _, target = await self._found(scope, name)

        def work() -> dict[str, Any]:
            self.platform.delete(scope, name)
            return {"@type": "type.googleapis.com/google.protobuf.Empty"}

        return answer(request, self.operations.start("delete", target, work))

    async def get(self, request: Request, project: str, region: str) -> Response:
        stored, _ = await self._found(f"{project}/{region}", request.path_params["name"])
        return answer(request, shown(stored, self.api.base_url, self.limits))

    async def list(self, request: Request, project: str, region: str) -> Response:
        keep = filter_of(request.query_params.get("filter") or "")
        scopes = [f"{project}/{found}" for found in (REGIONS if region == "-" else (region,))]
        stored = [one for scope in scopes for one in await asyncio.to_thread(self.platform.list, scope)]
        found = [one for one in (shown(item, self.api.base_url, self.limits) for item in stored) if keep(one)]
        page, token = page_of(found, request, self.limits)
        return answer(request, {"functions": page, **({"nextPageToken": token} if token else {})})

    # --- the rest ------------------------------------------------------------------------------------------------
    async def operation(self, request: Request, project: str, region: str) -> Response:
        name = f"projects/{project}/locations/{region}/operations/{request.path_params['operation']}"
        found = self.operations.get(name)
        if found is None:
            raise Refused(404, f"Operation '{name}' was not found")
        return answer(request, found)

    async def operation_list(self, request: Request, project: str, region: str) -> Response:
        page, token = page_of(self.operations.of(f"projects/{project}/locations/{region}"), request, self.limits)
        return answer(request, {"operations": page, **({"nextPageToken": token} if token else {})})

    async def runtimes(self, request: Request, project: str, region: str) -> Response:  # noqa: ARG002
        known = [{"name": name, "displayName": f"Python 3.{name[7:]}", "stage": "GA", "environment": "GEN_2"} for name in PYTHONS]
        return answer(request, {"runtimes": known})

    async def locations(self, request: Request, project: str, region: str) -> Response:  # noqa: ARG002
        known = [{"name": f"projects/{project}/locations/{name}", "locationId": name} for name in REGIONS]
        page, token = page_of(known, request, self.limits)
        return answer(request, {"locations": page, **({"nextPageToken": token} if token else {})})

    # --- inside --------------------------------------------------------------------------------------------------
    async def _found(self, scope: str, name: str) -> tuple[Any, str]:
        project, region = scope.split("/")
        target = f"projects/{project}/locations/{region}/functions/{name}"
        stored = await asyncio.to_thread(self.platform.get, scope, name)
        if stored is None:
            raise Refused(404, f"Resource '{target}' was not found")
        return stored, target

    def _source(self, document: Mapping[str, Any]) -> bytes:
        source = ((document["buildConfig"].get("source") or {}).get("storageSource")) or {}
        package = self.uploads.get(str(source.get("bucket")), str(source.get("object")))
        if package is None:
            text = (
                f"Could not read the source gs://{source.get('bucket')}/{source.get('object')}: upload it to the address first."
            )
            raise Refused(400, text)
        return package

    def _deploying(
        self, scope: str, name: str, document: Mapping[str, Any], package: bytes, settled: Any
    ) -> Callable[[], dict[str, Any]]:
        def work() -> dict[str, Any]:
            try:
                stored = self.platform.put(
                    scope,
                    name,
                    document,
                    package,
                    memory_mb=settled.memory_mb,
                    timeout_s=settled.timeout_s,
                    environment=settled.environment,
                    entry=settled.entry,
                )
            except FedKeeperError as exc:
                raise Refused(400, f"Build failed: {exc}") from exc
            source = document["buildConfig"]["source"]["storageSource"]
            self.uploads.drop(str(source["bucket"]), str(source["object"]))
            return {"@type": f"{V2}.Function", **shown(stored, self.api.base_url, self.limits)}

        return work


async def exchange(request: Request, tokens: Tokens, clock: Callable[[], float]) -> Response:
    """OAuth 2.0 token endpoint for service accounts."""
    form = parse_qs((await request.body()).decode(errors="replace"))
    made = tokens.exchange((form.get("assertion") or [""])[0], API, clock())
    if made is None:
        return JSONResponse({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, 400)
    return JSONResponse(made)


async def _nothing(request: Request) -> Response:
    return Refused(404, f"The requested URL {request.url.path} was not found on this server.").response()


async def _body(request: Request) -> dict[str, Any]:
    data = await request.body()
    try:
        found = json.loads(data) if data.strip() else {}
    except ValueError as exc:
        raise Refused(400, f"Invalid JSON payload received. {exc}") from exc
    if not isinstance(found, dict):
        raise Refused(400, "Invalid JSON payload received. Root element must be a message.")
    return found


def _unauthenticated(wrong: str) -> Refused:
    missing = "Request is missing required authentication credential."
    invalid = "Request had invalid authentication credentials."
    text = (
        f"{missing if wrong == 'missing' else invalid} Expected OAuth 2 access token, login cookie or other valid authentication "
        "credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
    )
    reason = {"missing": "CREDENTIALS_MISSING", "expired": "ACCESS_TOKEN_EXPIRED"}.get(wrong, "ACCESS_TOKEN_TYPE_UNSUPPORTED")
    return Refused(401, text, reason=reason, metadata={"service": SERVICE})
