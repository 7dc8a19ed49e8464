"""What goes wrong, and that the message says what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from google.api_core import exceptions
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fedkeeper.emulator.serve import listen
from fedkeeper.errors import (
    AccessDenied,
    ActivationFailed,
    FunctionNotFound,
    PayloadTooLarge,
    ProviderError,
    Throttled,
    Unreachable,
)
from fedkeeper.model import Cluster
from fedkeeper.providers.google.caller import GoogleCaller
from fedkeeper.providers.google.client import AlreadyThere, ControlPlane
from fedkeeper.providers.google.config import Config
from fedkeeper.providers.google.document import function_document
from fedkeeper.providers.google.errors import answer_error, translated
from fedkeeper.providers.google.identity import Identity
from fedkeeper.providers.google.provider import GoogleProvider
from tests.google.bench import ECHO, Bench, make_spec
from tests.google.server import served

CONFIG = Config("providers.google.eu", "p", "europe-west3")
HANG = "import time\n\ndef handle(params, body):\n    time.sleep(60)\n    return None, b''\n"
DIE = "import os\n\ndef handle(params, body):\n    os._exit(9)\n"


def test_a_wrong_project(bench: Bench) -> None:
    with pytest.raises(AccessDenied, match="somebody-else") as caught:
        bench.open(project="somebody-else").functions("f")
    assert "cloudfunctions.functions.list" in caught.value.hint  # the missing permission, and where the roles are
    assert "roles.yaml" in caught.value.hint


def test_a_wrong_region(bench: Bench) -> None:
    with pytest.raises(AccessDenied, match="mars-north1") as caught:
        bench.open(region="mars-north1").functions("f")
    assert "providers.google.cloud.region" in caught.value.hint


def test_a_wrong_or_expired_token(bench: Bench) -> None:
    provider = bench.open({"GOOGLE_OAUTH_ACCESS_TOKEN": "out-of-date"})
    for attempt in (lambda: provider.functions("f"), lambda: provider.create(*make_spec("f", ECHO))):
        with pytest.raises(AccessDenied) as caught:
            attempt()
        assert "GOOGLE_OAUTH_ACCESS_TOKEN" in caught.value.hint
        assert "out-of-date" not in f"{caught.value}{caught.value.hint}"
    bench.open().create(*make_spec("f", ECHO))
    with pytest.raises(AccessDenied, match="401"):
        provider.call("f", {}, timeout_s=10)


def test_no_token(bench: Bench) -> None:
    with pytest.raises(AccessDenied, match="GOOGLE_OAUTH_ACCESS_TOKEN is not set") as caught:
        bench.open({"GOOGLE_OAUTH_ACCESS_TOKEN": ""})
    assert "emulate env" in caught.value.hint


def test_a_build_that_fails(bench: Bench) -> None:
    spec, _ = make_spec("f", ECHO)
    with pytest.raises(ProviderError, match=r"creating f .*Build failed") as caught:
        bench.open().create(spec, b"this is no zip")
    assert "requirements" in caught.value.hint


def test_a_function_deleted_behind_our_back(bench: Bench) -> None:
    provider = bench.open()
    provider.create(*make_spec("f", ECHO))
    assert provider.call("f", {}, timeout_s=10).result == {"echo": {}}
    assert bench.emulator.platforms["google"].delete(f"{bench.project}/europe-west3", "f")
    with pytest.raises(FunctionNotFound, match="europe-west3") as caught:
        provider.call("f", {}, timeout_s=10)
    assert "deploy" in caught.value.hint
    with pytest.raises(FunctionNotFound):
        provider.update(*make_spec("f", ECHO))


def test_a_function_that_dies_or_hangs(bench: Bench) -> None:
    provider = bench.open()
    provider.create(*make_spec("die", DIE))
    with pytest.raises(Unreachable, match="503") as dead:
        provider.call("die", {}, timeout_s=10)
    assert "memory" in dead.value.hint
    provider.create(*make_spec("hang", HANG, timeout_s=1))
    with pytest.raises(ActivationFailed, match="timed out"):
        provider.call("hang", {}, timeout_s=10)


def test_too_large_names_the_setting(bench: Bench) -> None:
    provider = bench.open(max_request=1000, max_response=1000)
    provider.create(*make_spec("f", "def handle(params, body):\n    return None, bytes(params['n'])\n"))
    with pytest.raises(PayloadTooLarge, match=r"1000 bytes \(providers.google.cloud.max_request\)"):
        provider.call("f", {}, bytes(1000), 10)
    with pytest.raises(PayloadTooLarge, match=r"1000 bytes \(providers.google.cloud.max_response\)"):
        provider.call("f", {"n": 2000}, timeout_s=10)
    with pytest.raises(PayloadTooLarge, match="max_response"):  # the limit of a caller that is stricter than the function's
        bench.open(max_response=100).call("f", {"n": 500}, timeout_s=10)


def test_the_platform_is_down(bench: Bench) -> None:
    with listen() as sock:
        port = sock.getsockname()[1]
    provider = bench.open(endpoint=f"http://127.0.0.1:{port}")
    for attempt in (lambda: provider.functions("f"), lambda: provider.call("f", {}, timeout_s=5)):
        with pytest.raises(Unreachable, match=r"providers.google.cloud") as caught:
            attempt()
        assert "emulate status" in caught.value.hint


def test_tls_that_fails(bench: Bench) -> None:
    endpoint = bench.emulator.base_url.replace("http:", "https:")
    with pytest.raises(Unreachable, match="TLS") as caught:
        bench.open(endpoint=endpoint).call("f", {}, timeout_s=5)
    assert "REQUESTS_CA_BUNDLE" in caught.value.hint


def test_fabrics_whose_labels_are_alike_are_told_apart(bench: Bench) -> None:
    provider = bench.open()
    provider.create(*make_spec("mine", ECHO, fabric="Mine"))
    provider.create(*make_spec("yours", ECHO, fabric="mine"))
    assert set(provider.functions("Mine")) == {"mine"}
    assert set(provider.functions("mine")) == {"yours"}


def test_a_platform_without_an_instance_is_waited_for() -> None:
    async def busy(_: Request) -> Response:
        return Response("Rate exceeded.", 429, {"Retry-After": "3"})

    with served(lambda _: [Route("/run/p/us-central1/f", busy, methods=["POST"])]) as url:
        caller = GoogleCaller({"project": "p", "endpoint": url}, {"GOOGLE_OAUTH_ACCESS_TOKEN": "t"})
        with pytest.raises(Throttled, match="Rate exceeded") as caught:
            caller.call("f", {}, b"", 5)
    assert caught.value.retry_after == 3.0
    assert "max_instances" in caught.value.hint


def test_an_operation_that_finds_the_name_taken(bench: Bench) -> None:
    """Google may say so at once or at the operation's end; the emulator does the former."""
    parent, at = f"projects/{bench.project}/locations/europe-west3", "/v2/projects/{p}/locations/{l}"

    async def upload_url(request: Request) -> Response:
        source = {"bucket": "b", "object": "o.zip"}
        return JSONResponse({"uploadUrl": f"{request.base_url}put", "storageSource": source})

    async def put(_: Request) -> Response:
        return Response()

    async def create(_: Request) -> Response:
        return JSONResponse({"name": f"{parent}/operations/1", "done": False})

    async def operation(_: Request) -> Response:
        error = {"code": 6, "message": f"Resource '{parent}/functions/f' already exists"}
        return JSONResponse({"name": f"{parent}/operations/1", "done": True, "error": error})

    routes = [
        Route(at + "/functions:generateUploadUrl", upload_url, methods=["POST"]),
        Route("/put", put, methods=["PUT"]),
        Route(at + "/functions", create, methods=["POST"]),
        Route(at + "/operations/1", operation),
    ]
    with served(lambda _: routes) as url:
        config = Config("providers.google.cloud", bench.project, "europe-west3", endpoint=url, token="t")
        control = ControlPlane(config, Identity(config))
        document = function_document(make_spec("f", ECHO)[0], config, {}, {})
        with pytest.raises(AlreadyThere, match="already exists"):
            control.create(document, b"zip")


def test_a_filter_that_google_does_not_take_is_done_here() -> None:
    asked = []

    def function(name: str, fabric: str) -> dict[str, object]:
        variables = {"FEDKEEPER_FUNCTION": name, "FEDKEEPER_FABRIC": fabric, "FEDKEEPER_DIGEST": "sha256:1"}
        return {"name": name, "labels": {"fedkeeper-fabric": fabric}, "serviceConfig": {"environmentVariables": variables}}

    async def listing(request: Request) -> Response:
        asked.append(request.query_params.get("filter"))
        if request.query_params.get("filter"):
            return JSONResponse({"error": {"code": 400, "message": "no filters here", "status": "INVALID_ARGUMENT"}}, 400)
        failed = {**function("half", "f"), "state": "FAILED"}
        return JSONResponse({"functions": [function("mine", "f"), function("other", "g"), failed, {"name": "foreign"}]})

    with served(lambda _: [Route("/v2/projects/p/locations/us-central1/functions", listing)]) as url:
        settings = {"project": "p", "endpoint": url}
        provider = GoogleProvider(Cluster("c", "google", settings), home=Path(), environ={"GOOGLE_OAUTH_ACCESS_TOKEN": "t"})
        found = provider.functions("f")
    assert len(asked) == 2
    assert {name: one.digest for name, one in found.items()} == {"mine": "sha256:1", "half": None}  # half: its build failed


def test_somebody_elses_answer_is_a_failure() -> None:
    async def other(_: Request) -> Response:
        return JSONResponse({"hello": "world"})

    with served(lambda _: [Route("/run/p/us-central1/f", other, methods=["POST"])]) as url:
        caller = GoogleCaller({"project": "p", "endpoint": url}, {"GOOGLE_OAUTH_ACCESS_TOKEN": "t"})
        with pytest.raises(ActivationFailed, match="not FedKeeper's"):
            caller.call("f", {}, b"", 5)


@pytest.mark.parametrize(
    ("exc", "kind", "said"),
    [
        (exceptions.Unauthorized("x"), AccessDenied, "application-default login"),
        (exceptions.Forbidden("API has not been used in project p"), AccessDenied, "gcloud services enable"),
        (exceptions.NotFound("projects/p/locations/l/functions/f"), FunctionNotFound, "deploy"),
        (exceptions.NotFound("Project p was not found"), ProviderError, "project"),
        (exceptions.ResourceExhausted("Quota exceeded"), Throttled, "quota"),
        (exceptions.ServiceUnavailable("later"), Unreachable, "status.cloud.google.com"),
        (exceptions.InternalServerError("oops"), Unreachable, "again"),
        (exceptions.InvalidArgument("bad"), ProviderError, "docs/google.md"),
        (TimeoutError("1800 s"), Unreachable, "goes on where it stopped"),
        (ConnectionResetError("reset"), Unreachable, "network"),
    ],
)
def test_the_apis_errors(exc: Exception, kind: type[ProviderError], said: str) -> None:
    made = translated(exc, CONFIG, "creating f", "f")
    assert type(made) is kind
    assert "providers.google.eu" in str(made)
    assert said in made.hint


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "said"),
    [
        (401, {}, b"<h1>Unauthorized</h1>", AccessDenied, "Unauthorized"),
        (403, {}, b"<html><title>x</title><h1>Error: Forbidden</h1></html>", AccessDenied, "HTTP 403, Error: Forbidden"),
        (404, {}, b"", FunctionNotFound, "no function f"),
        (413, {}, b"", PayloadTooLarge, "providers.google.eu.max_request"),
        (429, {}, b"Rate exceeded.", Throttled, "Rate exceeded"),
        (500, {"Content-Type": "application/json"}, b'{"error": "KeyError: 1"}', ActivationFailed, "^f: KeyError: 1$"),
        (500, {"X-Google-Status": "crash"}, b"<p>boom</p>", ActivationFailed, "crash"),
        (503, {}, b"malformed", Unreachable, "malformed"),
        (504, {}, b"upstream request timeout", ActivationFailed, "timed out"),
    ],
)
def test_a_functions_answers(status: int, headers: dict[str, str], body: bytes, kind: type[ProviderError], said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        raise answer_error(status, headers, body, CONFIG, "f")
    assert type(caught.value) is kind
    if status == 403:
        assert "roles/run.invoker" in caught.value.hint


@pytest.mark.parametrize("missing", ["google.cloud.functions_v2", "requests"])
def test_a_library_that_is_not_installed(missing: str, tmp_path: Path) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from pathlib import Path\n"
        "from fedkeeper.errors import MissingExtra\n"
        "from fedkeeper.model import Cluster\n"
        "from fedkeeper.providers.google.provider import GoogleProvider\n"
        "try:\n    GoogleProvider(Cluster('c', 'google', {'project': 'p'}), home=Path('.'), environ={})\n"
        "except MissingExtra as exc:\n    print(exc.hint)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True
    )
    assert "fedkeeper[google]" in done.stdout
