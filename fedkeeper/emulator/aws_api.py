"""AWS Lambda's API over one platform: https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html

    request -> size -> signature (aws_signature) -> rate (aws_quota) -> operation -> JSON        refused: {"Type", "message"}

    aws_functions   functions            aws_invoke     Invoke
    aws_settings    tags, concurrency, event settings, account            aws_downloads   the zips, by presigned addresses

Not emulated: versions and aliases, layers, images and code in S3, function URLs, event sources, permissions.
"""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fedkeeper.emulator import aws_downloads, aws_invoke, aws_signature
from fedkeeper.emulator import aws_functions as functions
from fedkeeper.emulator import aws_settings as settings
from fedkeeper.emulator.aws_checks import upload_limit
from fedkeeper.emulator.aws_desk import Call, Desk, Handler
from fedkeeper.emulator.aws_quota import Quota
from fedkeeper.emulator.aws_signature import Signed
from fedkeeper.emulator.aws_wire import Refused
from fedkeeper.emulator.core import Api

METHODS = ["GET", "POST", "PUT", "DELETE"]
ALL, ONE = "/2015-03-31/functions", "/2015-03-31/functions/{name}"
EVENTS = "/2019-09-25/functions/{name}/event-invoke-config"
Operation = tuple[str, Handler]
OPERATIONS: dict[str, dict[str, Operation]] = {
    ALL: {"POST": ("CreateFunction", functions.create), "GET": ("ListFunctions", functions.listed)},
    ONE: {"GET": ("GetFunction", functions.get), "DELETE": ("DeleteFunction", functions.delete)},
    ONE + "/configuration": {
        "GET": ("GetFunctionConfiguration", functions.get_configuration),
        "PUT": ("UpdateFunctionConfiguration", functions.update_configuration),
    },
    ONE + "/code": {"PUT": ("UpdateFunctionCode", functions.update_code)},
    ONE + "/versions": {"GET": ("ListVersionsByFunction", functions.versions)},
    ONE + "/invocations": {"POST": ("Invoke", aws_invoke.invoke)},
    EVENTS: {
        "PUT": ("PutFunctionEventInvokeConfig", settings.put_events),
        "POST": ("UpdateFunctionEventInvokeConfig", settings.put_events),
        "GET": ("GetFunctionEventInvokeConfig", settings.get_events),
        "DELETE": ("DeleteFunctionEventInvokeConfig", settings.delete_events),
    },
    "/2017-10-31/functions/{name}/concurrency": {
        "PUT": ("PutFunctionConcurrency", settings.put_concurrency),
        "DELETE": ("DeleteFunctionConcurrency", settings.delete_concurrency),
    },
    "/2019-09-30/functions/{name}/concurrency": {"GET": ("GetFunctionConcurrency", settings.get_concurrency)},
    "/2017-03-31/tags/{name}": {
        "GET": ("ListTags", settings.list_tags),
        "POST": ("TagResource", settings.tag),
        "DELETE": ("UntagResource", settings.untag),
    },
    "/2016-08-19/account-settings": {"GET": ("GetAccountSettings", settings.account)},
}
VERSIONS = sorted({path.split("/")[1] for path in OPERATIONS})


def routes(api: Api) -> list[Route]:
    """With and without a slash at the end; what else begins with a version of the API is an operation nobody knows."""
    gate = Gate(api)
    table = {
        **OPERATIONS,
        ALL + "/": OPERATIONS[ALL],
        "/2016-08-19/account-settings/": OPERATIONS["/2016-08-19/account-settings"],
    }
    known = [Route(path, partial(gate.enter, operations), methods=METHODS) for path, operations in table.items()]
    unknown = [Route(f"/{version}/{{rest:path}}", partial(gate.enter, {}), methods=METHODS) for version in VERSIONS]
    return [*known, *unknown, Route(aws_downloads.PATH, aws_downloads.download(api), methods=["GET"])]


class Gate:
    """What stands before every operation."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.desk = Desk(api)
        self.quota = Quota(self.desk.limits)

    async def enter(self, operations: dict[str, Operation], request: Request) -> Response:
        try:
            name, handler = operations.get(request.method) or _unknown()
            body = await self._body(request, name)
            self._signed(request, body)
            self.quota.take(name, self.api.clock())
            return await handler(self.desk, Call(request, name, body))
        except Refused as exc:
            return exc.response()

    async def _body(self, request: Request, operation: str) -> bytes:
        """Read to its end even when it is too large, so that the client, still sending, hears why."""
        limits = self.desk.limits
        limit = limits.max_request if operation == "Invoke" else upload_limit(limits)
        chunks, size = [], 0
        async for chunk in request.stream():
            size += len(chunk)
            if size <= limit:
                chunks.append(chunk)
        if size > limit:
            shown = "InvokeFunction" if operation == "Invoke" else operation
            text = f"Request must be smaller than {limit} bytes for the {shown} operation"
            raise Refused("RequestEntityTooLargeException", text)
        return b"".join(chunks)

    def _signed(self, request: Request, body: bytes) -> None:
        path, query = request.scope["raw_path"].decode("latin-1"), request.scope["query_string"].decode("latin-1")
        signed = Signed(request.method, path.partition("?")[0], query, request.headers, body)
        keys = self.api.credentials
        aws_signature.check(signed, keys.aws_access_key_id, keys.aws_secret_access_key, keys.aws_region, self.api.clock())


def _unknown() -> Operation:
    raise Refused("UnknownOperationException", "Unknown operation")
