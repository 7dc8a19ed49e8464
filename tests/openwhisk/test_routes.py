"""The emulated routes by plain HTTP: status, headers and bodies as the controller gives them, and as its description says."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from fedkeeper.deploy.package import make_zip
from fedkeeper.emulator.limits import OpenWhiskLimits
from fedkeeper.testing.emulated import Emulated, emulated
from tests.openwhisk.swagger import Exchange, complaints

SLEEPER = "import time\n\ndef main(args):\n    time.sleep(args.get('s', 0))\n    return {'slept': args.get('s')}\n"
DEAD = "import os\n\ndef main(args):\n    os._exit(3)\n"


class Api:
    """A session that holds every exchange against the description."""

    def __init__(self, emulator: Emulated, key: str | None = None) -> None:
        self.base = emulator.base_url
        self.session = requests.Session()
        user, _, password = (key or emulator.credentials.openwhisk_key).partition(":")
        self.session.auth = (user, password)
        self.wrong: list[str] = []

    def __call__(self, method: str, path: str, body: Any = None, **query: Any) -> requests.Response:
        response = self.session.request(method, f"{self.base}/api/v1{path}", json=body, params=query, timeout=20)
        text = {name: str(value) for name, value in query.items()}
        self.wrong += complaints(Exchange(method, path, text, body, response.status_code, response.json()))
        return response

    def put(self, name: str, source: str = SLEEPER, **fields: Any) -> requests.Response:
        body = {"exec": {"kind": "python:3.11", "code": source}, **fields}
        return self("PUT", f"/namespaces/_/actions/{name}", body, overwrite="true")

    def invoke(self, name: str, body: Any = None, **query: Any) -> requests.Response:
        return self("POST", f"/namespaces/_/actions/{name}", body, **query)

    def finished(self, activation_id: str) -> dict[str, Any]:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            response = self("GET", f"/namespaces/_/activations/{activation_id}")
            if response.status_code == 200:
                return dict(response.json())
            time.sleep(0.01)
        raise AssertionError(f"{activation_id} did not end")


@pytest.fixture
def api(emulator: Emulated) -> Iterator[Api]:
    made = Api(emulator)
    yield made
    made.session.close()
    assert made.wrong == []


def error(response: requests.Response) -> tuple[int, str]:
    body = response.json()
    assert set(body) == {"error", "code"}
    assert isinstance(body["code"], str)
    return response.status_code, body["error"]


def test_the_front_page_needs_no_key(emulator: Emulated) -> None:
    shown = requests.get(f"{emulator.base_url}/api/v1", timeout=5).json()
    assert shown["description"] == "OpenWhisk API"
    assert shown["api_version_path"] == "v1"
    assert requests.get(f"{emulator.base_url}/ping", timeout=5).text == "pong"


def test_no_key_and_a_wrong_one(emulator: Emulated) -> None:
    url = f"{emulator.base_url}/api/v1/namespaces"
    without = requests.get(url, timeout=5)
    assert error(without) == (401, "The resource requires authentication, which was not supplied with the request")
    assert without.headers["WWW-Authenticate"].startswith('Basic realm="OpenWhisk secure realm"')
    assert error(requests.get(url, auth=("a", "b"), timeout=5)) == (401, "The supplied authentication is invalid")
    assert requests.get(url, headers={"Authorization": "Basic !!!"}, timeout=5).status_code == 401
    assert requests.get(url, headers={"Authorization": "Bearer token"}, timeout=5).status_code == 401


def test_another_namespace(api: Api) -> None:
    refused = "The supplied authentication is not authorized to access '{}'."
    assert error(api("GET", "/namespaces/other/actions")) == (403, refused.format("other"))
    assert error(api("POST", "/namespaces/other/actions/f", {})) == (403, refused.format("other/f"))
    assert api("GET", "/namespaces/guest/actions").json() == []


def test_names(api: Api) -> None:
    assert error(api.put("a!b"))[1] == "The name of the entity contains illegal characters."
    assert error(api.put("x" * 257)) == (400, "Name segement longer than allowed: 257 > 256.")
    assert api.put("x" * 256).status_code == 200
    assert api.put("with space@and.dots-").status_code == 200


def test_an_update_keeps_what_it_does_not_say(api: Api) -> None:
    first = api.put(
        "f", parameters=[{"key": "s", "value": 0}], limits={"memory": 128}, annotations=[{"key": "a", "value": 1}]
    ).json()
    second = api("PUT", "/namespaces/_/actions/f", {"limits": {"timeout": 1000}}, overwrite="true").json()
    assert second["limits"] == {**first["limits"], "timeout": 1000}
    assert second["parameters"] == first["parameters"]
    assert second["annotations"] == first["annotations"]
    assert second["exec"]["code"] == SLEEPER
    assert (first["version"], second["version"]) == ("0.0.1", "0.0.2")


def test_malformed_actions(api: Api) -> None:
    assert error(api("PUT", "/namespaces/_/actions/f", {})) == (400, "exec undefined")
    status, text = error(api("PUT", "/namespaces/_/actions/f", {"exec": {"kind": "cobol:60", "code": "x = 1"}}))
    assert status == 400
    assert "The specified runtime 'cobol:60' is not supported by this platform." in text
    assert "'code' must be a string" in error(api("PUT", "/namespaces/_/actions/f", {"exec": {"kind": "python:3.11"}}))[1]
    assert (
        "'image' must be a string"
        in error(api("PUT", "/namespaces/_/actions/f", {"exec": {"kind": "blackbox", "code": "x = 1"}}))[1]
    )
    assert error(api("PUT", "/namespaces/_/actions/f", [1])) == (400, "The request content was malformed:\nObject expected")
    assert "parameters malformed!" in error(api.put("f", parameters={"a": 1}))[1]


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"memory": 1024}, "requirement failed: memory 1024 MB exceeds allowed threshold of 512 MB"),
        ({"memory": 64}, "requirement failed: memory 64 MB below allowed threshold of 128 MB"),
        ({"timeout": 600_000}, "requirement failed: duration 600000 milliseconds exceeds allowed threshold of 5 minutes"),
        ({"timeout": 10}, "requirement failed: duration 10 milliseconds below allowed threshold of 100 milliseconds"),
        ({"concurrency": 501}, "requirement failed: concurrency 501 exceeds allowed threshold of 500"),
        ({"logs": 11}, "requirement failed: logs 11 MB exceeds allowed threshold of 10 MB"),
        ({"memory": "much"}, "The request content was malformed:\nmemory limit must be whole number"),
    ],
)
def test_limits_of_an_action(api: Api, limits: dict[str, Any], text: str) -> None:
    assert error(api.put("f", limits=limits)) == (400, text)


def test_code_over_the_limit(tmp_path: Path) -> None:
    limits = {"openwhisk": OpenWhiskLimits(max_code=1000)}
    with emulated(tmp_path, limits=limits) as emulator:
        assert error(Api(emulator).put("f", "#" * 1001)) == (413, "exec larger than allowed: 1001 > 1000 bytes.")


def test_a_zip_is_given_back_as_it_came(api: Api) -> None:
    code = base64.b64encode(make_zip({"__main__.py": SLEEPER.encode()})).decode()
    assert api.put("z", code).json()["exec"]["binary"] is True
    shown = api("GET", "/namespaces/_/actions/z").json()
    assert shown["exec"]["code"] == code
    assert "code" not in api("GET", "/namespaces/_/actions/z", code="false").json()["exec"]
    assert api.invoke("z", {"s": 0}, blocking="true", result="true").json() == {"slept": 0}


def test_an_image_with_code_runs_the_code(api: Api) -> None:
    body = {"exec": {"kind": "blackbox", "image": "me/tensorflow", "code": SLEEPER}}
    assert api("PUT", "/namespaces/_/actions/b", body).json()["exec"]["image"] == "me/tensorflow"
    assert api.invoke("b", {"s": 0}, blocking="true", result="true").json() == {"slept": 0}


def test_final_parameters_cannot_be_replaced(api: Api) -> None:
    api.put("f", parameters=[{"key": "s", "value": 0.01}], annotations=[{"key": "final", "value": True}])
    text = "Request defines parameters that are not allowed (e.g., reserved properties)."
    assert error(api.invoke("f", {"s": 5})) == (400, text)
    assert api.invoke("f", {"t": 5}, blocking="true", result="true").json() == {"slept": 0.01}


def test_pages(api: Api) -> None:
    for n in range(3):
        api.put(f"f{n}")
    names = [entry["name"] for entry in api("GET", "/namespaces/_/actions", limit=2, skip=1).json()]
    assert names == ["f1", "f2"]
    assert api("GET", "/namespaces/_/actions", limit=0).json() != []
    assert api("GET", "/namespaces/_/actions", count="true").json() == {"actions": 3}
    text = "The query parameter 'limit' was malformed:\nThe value '201' is not in the range of 0 to 200 for actions."
    assert error(api("GET", "/namespaces/_/actions", limit=201)) == (400, text)
    assert "is not an integer for activations" in error(api("GET", "/namespaces/_/activations", limit="x"))[1]
    assert "is not greater than or equal to 0" in error(api("GET", "/namespaces/_/actions", skip=-1))[1]
    assert "not a valid value for epoch seconds: now" in error(api("GET", "/namespaces/_/activations", since="now"))[1]


def test_the_default_page_is_thirty(api: Api) -> None:
    api.put("f")
    ids = [api.invoke("f", {}).json()["activationId"] for _ in range(33)]
    for activation_id in ids:
        api.finished(activation_id)
    assert len(api("GET", "/namespaces/_/activations").json()) == 30
    whole = api("GET", "/namespaces/_/activations", limit=200, docs="true").json()
    assert {entry["activationId"] for entry in whole} == set(ids)
    assert all(entry["response"]["success"] for entry in whole)
    middle = whole[10]["start"]
    later = api("GET", "/namespaces/_/activations", limit=200, since=middle).json()
    earlier = api("GET", "/namespaces/_/activations", limit=200, upto=middle).json()
    assert all(entry["start"] >= middle for entry in later)
    assert all(entry["start"] <= middle for entry in earlier)
    assert {entry["activationId"] for entry in [*later, *earlier]} == set(ids)
    assert error(api("GET", "/namespaces/_/activations", count="true", docs="true"))[0] == 400
    assert api("GET", "/namespaces/_/activations", name="other").json() == []


def test_there_is_no_record_before_the_end(api: Api) -> None:
    api.put("f")
    started = api.invoke("f", {"s": 0.6})
    activation_id = started.json()["activationId"]
    assert started.status_code == 202
    assert started.headers["X-OpenWhisk-Activation-Id"] == activation_id
    assert error(api("GET", f"/namespaces/_/activations/{activation_id}")) == (404, "The requested resource does not exist.")
    assert api("GET", "/namespaces/_/activations").json() == []
    record = api.finished(activation_id)
    assert record["response"]["result"] == {"slept": 0.6}
    assert record["duration"] >= 590
    assert record["end"] - record["start"] == record["duration"]


def test_activation_ids(api: Api) -> None:
    assert error(api("GET", "/namespaces/_/activations/abc")) == (400, "Activation id length is 3 but must be 32.")
    assert error(api("GET", f"/namespaces/_/activations/{'x' * 32}")) == (400, "The activation id is not valid.")
    assert api("GET", f"/namespaces/_/activations/{'0' * 32}/logs").status_code == 404


def test_a_blocking_call_turns_into_a_202(api: Api) -> None:
    api.put("f")
    begun = time.monotonic()
    response = api.invoke("f", {"s": 2}, blocking="true", timeout=200)
    assert response.status_code == 202
    assert set(response.json()) == {"activationId"}
    assert 0.2 <= time.monotonic() - begun < 1.5
    text = "The query parameter 'timeout' was malformed:\nTimeout must be number of milliseconds up to 500."
    assert error(api.invoke("f", {}, blocking="true", timeout=501)) == (400, text)


def test_how_activations_fail(api: Api) -> None:
    api.put("late", limits={"timeout": 200})
    late = api.finished(api.invoke("late", {"s": 5}).json()["activationId"])
    assert late["response"]["status"] == "action developer error"
    assert late["response"]["result"] == {"error": "The action exceeded its time limits of 200 milliseconds."}
    assert {"key": "timeout", "value": True} in late["annotations"]
    api.put("dead", DEAD)
    dead = api.invoke("dead", {}, blocking="true")
    assert dead.status_code == 502
    assert dead.json()["response"]["result"]["error"].startswith("The action did not produce a valid response and exited")
    api.put("broken", "def main(:\n")
    assert "Initialization has failed" in api.invoke("broken", {}, blocking="true").json()["response"]["result"]["error"]
    api.put("wordy", "def main(args):\n    return 'text'\n")
    assert api.invoke("wordy", {}, blocking="true").json()["response"]["status"] == "action developer error"
    api.put("large", "def main(args):\n    return {'x': 'y' * (1 << 20)}\n")
    large = api.invoke("large", {}, blocking="true", result="true")
    assert large.status_code == 502
    assert re.search(r"produced a response that exceeded the allowed length: 10485\d\d > 1048576 bytes", large.json()["error"])


def test_a_payload_over_the_limit(api: Api) -> None:
    api.put("f")
    status, text = error(api.invoke("f", {"x": "y" * (1 << 20)}))
    assert (status, text) == (413, "Request larger than allowed: 1048585 > 1048576 bytes.")


def test_bodies_that_are_no_object(api: Api, emulator: Emulated) -> None:
    api.put("f")
    assert error(api.invoke("f", [1])) == (400, "The request content was malformed:\nObject expected")
    url = f"{emulator.base_url}/api/v1/namespaces/_/actions/f"
    assert api.session.post(url, data=b"a=1", timeout=5).status_code == 415
    assert api.session.post(url, data=b"{", headers={"Content-Type": "application/json"}, timeout=5).status_code == 400
    assert api.session.post(url, timeout=5).status_code == 202


def test_the_minute_and_what_is_in_flight(tmp_path: Path) -> None:
    limits = {"openwhisk": OpenWhiskLimits(invocations_per_minute=3, max_concurrency=2)}
    with emulated(tmp_path, limits=limits) as emulator:
        api = Api(emulator)
        api.put("f")
        while time.time() % 60 > 55:  # the counter starts anew with every minute
            time.sleep(0.5)
        assert [api.invoke("f", {"s": 5}).status_code for _ in range(2)] == [202, 202]
        assert error(api.invoke("f", {})) == (429, "Too many concurrent requests in flight (count: 2, allowed: 2).")
        assert error(api.invoke("f", {})) == (429, "Too many requests in the last minute (count: 4, allowed: 3).")
        assert error(api.invoke("nothing", {})) == (429, "Too many requests in the last minute (count: 5, allowed: 3).")
        shown = api("GET", "/namespaces/_/limits").json()
        assert (shown["invocationsPerMinute"], shown["concurrentInvocations"]) == (3, 2)
        assert api.wrong == []


def test_what_there_is_not(api: Api, emulator: Emulated) -> None:
    assert error(api("GET", "/namespaces/_/actions/pack/f"))[0] == 403
    put = api.session.put(f"{emulator.base_url}/api/v1/namespaces/_/actions/pack/f", json={}, timeout=5)
    assert error(put)[0] == 404  # which the description does not mention
    assert api("GET", "/namespaces/_/packages").json() == []
    get = api.session.get(f"{emulator.base_url}/api/v1/nothing", timeout=5)
    assert error(get) == (404, "The requested resource does not exist.")
    wrong = api.session.delete(f"{emulator.base_url}/api/v1/namespaces/_/actions", timeout=5)
    assert error(wrong) == (405, "HTTP method not allowed, supported methods: GET")
