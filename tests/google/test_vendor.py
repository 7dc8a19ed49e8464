"""The emulator as Google's own client library sees it, before our adapter does."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.cloud import functions_v2
from google.oauth2.credentials import Credentials

from fedkeeper.testing.emulated import Emulated
from tests.google.bench import ECHO, FAIL, zip_of

REGION = "us-central1"
PLAIN = 'def hello(request):\n    return f\'hello {request.args.get("name", "world")}\'\n'


@pytest.fixture
def client(emulator: Emulated) -> functions_v2.FunctionServiceClient:
    return client_for(emulator, emulator.credentials.google_token)


@pytest.fixture
def parent(emulator: Emulated) -> str:
    return f"projects/{emulator.credentials.google_project}/locations/{REGION}"


def client_for(emulator: Emulated, token: str) -> functions_v2.FunctionServiceClient:
    return functions_v2.FunctionServiceClient(
        transport="rest", credentials=Credentials(token=token), client_options=ClientOptions(api_endpoint=emulator.base_url)
    )


def upload(client: functions_v2.FunctionServiceClient, parent: str, package: bytes) -> functions_v2.StorageSource:
    made = client.generate_upload_url({"parent": parent})
    answer = requests.put(made.upload_url, data=package, headers={"content-type": "application/zip"}, timeout=10)
    assert answer.status_code == 200, answer.text
    return made.storage_source


def wanted(client: functions_v2.FunctionServiceClient, parent: str, name: str, handler: str, **service: Any) -> dict[str, Any]:
    source = {"storage_source": upload(client, parent, zip_of(handler))}
    function = {
        "name": f"{parent}/functions/{name}",
        "build_config": {"runtime": "python312", "entry_point": "fedkeeper", "source": source},
        "service_config": {"available_memory": "512Mi", "timeout_seconds": 30, **service},
        "labels": {"team": name[0]},
    }
    return {"parent": parent, "function_id": name, "function": function}


def create(client: functions_v2.FunctionServiceClient, parent: str, name: str, handler: str = ECHO, **service: Any) -> Any:
    return client.create_function(wanted(client, parent, name, handler, **service)).result(timeout=30)


def post(emulator: Emulated, url: str, token: str | None = None, **given: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.post(url, headers=headers, timeout=20, **given)


def test_create_get_call_list_update_delete(emulator: Emulated, client: Any, parent: str) -> None:
    token = emulator.credentials.google_token
    made = create(client, parent, "alpha", environment_variables={"A": "1"})
    assert made.state.name == "ACTIVE"
    assert made.environment.name == "GEN_2"
    got = client.get_function({"name": f"{parent}/functions/alpha"})
    assert got.service_config.available_memory == "512Mi"
    assert got.service_config.environment_variables["A"] == "1"
    assert got.labels == {"team": "a"}
    assert got.service_config.max_instance_request_concurrency == 1
    answer = post(emulator, got.url, token, json={"n": 1})
    assert (answer.status_code, answer.json()) == (200, {"echo": {"n": 1}})
    assert answer.headers["Function-Execution-Id"]

    request = wanted(client, parent, "alpha", FAIL)["function"]
    changed = client.update_function({"function": request, "update_mask": {"paths": ["build_config", "labels"]}}).result(
        timeout=30
    )
    assert changed.service_config.environment_variables["A"] == "1"  # not in the mask
    answer = post(emulator, got.url, token, json={})
    assert (answer.status_code, answer.json()) == (500, {"error": "ValueError: this client has no data"})

    client.delete_function({"name": f"{parent}/functions/alpha"}).result(timeout=30)
    with pytest.raises(exceptions.NotFound):
        client.get_function({"name": f"{parent}/functions/alpha"})
    assert post(emulator, got.url, token).status_code == 404


def test_listing_pages_and_filters(client: Any, parent: str) -> None:
    for name in ("a1", "a2", "b1"):
        create(client, parent, name)
    first = client.list_functions({"parent": parent, "page_size": 2})
    assert len(list(first.pages)) == 2
    assert [f.name.rsplit("/")[-1] for f in client.list_functions({"parent": parent, "page_size": 2})] == ["a1", "a2", "b1"]
    found = client.list_functions({"parent": parent, "filter": 'labels.team="b"'})
    assert [f.name for f in found] == [f"{parent}/functions/b1"]
    everywhere = parent.rsplit("/", 1)[0] + "/-"
    assert len(list(client.list_functions({"parent": everywhere, "filter": "environment=GEN_2"}))) == 3
    with pytest.raises(exceptions.BadRequest):
        list(client.list_functions({"parent": parent, "filter": "what is this"}))


def test_a_taken_name_and_an_absent_function(client: Any, parent: str) -> None:
    create(client, parent, "alpha")
    with pytest.raises(exceptions.Conflict, match="already exists"):
        create(client, parent, "alpha")
    for verb in (client.get_function, client.delete_function):
        with pytest.raises(exceptions.NotFound, match="was not found"):
            verb({"name": f"{parent}/functions/absent"})


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ({"available_memory": "64Gi"}, "available_memory"),
        ({"timeout_seconds": 7200}, "timeout_seconds"),
        ({"max_instance_request_concurrency": 4}, "Total cpu < 1"),
        ({"environment_variables": {"X_GOOGLE_A": "1"}}, "X_GOOGLE_A"),
        ({"environment_variables": {"A": "x" * 40_000}}, "environment variables"),
    ],
)
def test_settings_out_of_range_are_refused(client: Any, parent: str, service: dict[str, Any], said: str) -> None:
    with pytest.raises(exceptions.BadRequest, match=said):
        create(client, parent, "alpha", **service)


def test_bad_names_labels_and_runtimes_are_refused(client: Any, parent: str) -> None:
    with pytest.raises(exceptions.BadRequest, match="function name"):
        client.create_function({**wanted(client, parent, "alpha", ECHO), "function_id": "Not_Allowed"})
    for part, value in (("labels", {"Team": "x"}), ("labels", {"team": "X"})):
        request = wanted(client, parent, "alpha", ECHO)
        request["function"][part] = value
        with pytest.raises(exceptions.BadRequest, match="label"):
            client.create_function(request)
    request = wanted(client, parent, "alpha", ECHO)
    request["function"]["build_config"]["runtime"] = "nodejs20"
    with pytest.raises(exceptions.BadRequest, match="nodejs20"):
        client.create_function(request)


def test_a_build_that_fails_is_the_operations_error(client: Any, parent: str) -> None:
    request = wanted(client, parent, "alpha", ECHO)
    request["function"]["build_config"]["source"] = {"storage_source": upload(client, parent, b"no zip at all")}
    with pytest.raises(exceptions.GoogleAPICallError, match="Build failed"):
        client.create_function(request).result(timeout=30)


def test_a_source_that_was_not_uploaded_is_refused(client: Any, parent: str) -> None:
    request = wanted(client, parent, "alpha", ECHO)
    request["function"]["build_config"]["source"] = {"storage_source": {"bucket": "b", "object_": "o.zip"}}
    with pytest.raises(exceptions.BadRequest, match=r"gs://b/o.zip"):
        client.create_function(request)


def test_operations_are_listed_and_end(emulator: Emulated, client: Any, parent: str) -> None:
    create(client, parent, "alpha")
    url = f"{emulator.base_url}/v2/{parent}/operations"
    headers = {"Authorization": f"Bearer {emulator.credentials.google_token}"}
    (operation,) = requests.get(url, headers=headers, timeout=10).json()["operations"]
    assert operation["done"] is True
    assert operation["metadata"]["verb"] == "create"
    assert operation["metadata"]["operationType"] == "CREATE_FUNCTION"  # by name, when numbers are not asked for
    assert client.get_operation({"name": operation["name"]}).done
    assert requests.get(f"{url}/unknown", headers=headers, timeout=10).json()["error"]["status"] == "NOT_FOUND"


def test_runtimes_and_locations(client: Any, parent: str) -> None:
    assert "python312" in [runtime.name for runtime in client.list_runtimes({"parent": parent}).runtimes]
    found = client.list_locations({"name": parent.rsplit("/", 2)[0]})
    assert REGION in [location.location_id for location in found.locations]


def test_wrong_token_project_and_region(emulator: Emulated, parent: str) -> None:
    url = f"{emulator.base_url}/v2/{parent}/functions"
    answer = requests.get(url, timeout=10)
    assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
    assert answer.json()["error"]["details"][0]["reason"] == "CREDENTIALS_MISSING"
    client = client_for(emulator, emulator.credentials.google_token)
    with pytest.raises(exceptions.Forbidden, match=r"cloudfunctions.functions.list") as caught:
        client.list_functions({"parent": "projects/somebody-else/locations/us-central1"})
    assert caught.value.reason == "IAM_PERMISSION_DENIED"
    with pytest.raises(exceptions.Forbidden, match="it may not exist"):
        client.list_functions({"parent": parent.replace(REGION, "mars-north1")})


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"content-type": "application/octet-stream"}, 403, "SignatureDoesNotMatch"),
        ({"content-type": "application/zip", "Authorization": "Bearer x"}, 403, "AccessDenied"),
    ],
)
def test_an_upload_must_be_as_it_was_signed(client: Any, parent: str, headers: dict[str, str], status: int, code: str) -> None:
    url = client.generate_upload_url({"parent": parent}).upload_url
    answer = requests.put(url, data=b"x", headers=headers, timeout=10)
    assert answer.status_code == status
    assert code in answer.text
    broken = requests.put(url.replace("Signature=", "Signature=0"), headers={"content-type": "application/zip"}, timeout=10)
    assert broken.status_code == 403


def test_a_function_is_private(emulator: Emulated, client: Any, parent: str) -> None:
    url = create(client, parent, "alpha").url
    answer = post(emulator, url)
    assert (answer.status_code, answer.headers["Content-Type"]) == (403, "text/html; charset=UTF-8")
    assert "does not have permission" in answer.text
    refused = post(emulator, url, "wrong")
    assert refused.status_code == 401
    assert "invalid_token" in refused.headers["WWW-Authenticate"]


def test_time_crash_and_size(emulator: Emulated, client: Any, parent: str) -> None:
    token = emulator.credentials.google_token
    source = """
        import os, time

        def handle(params, body):
            if params["do"] == "sleep":
                time.sleep(30)
            if params["do"] == "die":
                os._exit(9)
            return len(body), bytes(params.get("n", 0))
    """
    url = create(client, parent, "alpha", source, timeout_seconds=1).url
    late = post(emulator, url, token, json={"do": "sleep"})
    assert (late.status_code, late.text) == (504, "upstream request timeout")
    assert post(emulator, url, token, json={"do": "die"}).status_code == 503
    large = post(emulator, url, token, data=bytes(32 * 1024**2 + 1))
    assert large.status_code == 413
    assert post(emulator, url, token, json={"do": "nothing"}).status_code == 200


def test_a_plain_function_of_somebody_else(emulator: Emulated, client: Any, parent: str) -> None:
    from fedkeeper.deploy.package import make_zip

    request = wanted(client, parent, "hello", ECHO)
    request["function"]["build_config"]["entry_point"] = "hello"
    source = upload(client, parent, make_zip({"main.py": PLAIN.encode(), "requirements.txt": b""}))
    request["function"]["build_config"]["source"] = {"storage_source": source}
    url = client.create_function(request).result(timeout=30).url
    assert post(emulator, f"{url}/some/path?name=you", emulator.credentials.google_token).text == "hello you"
