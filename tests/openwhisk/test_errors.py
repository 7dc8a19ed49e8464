"""What goes wrong with an installation, and what the message tells the reader to do."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fedkeeper.emulator.limits import OpenWhiskLimits
from fedkeeper.errors import (
    AccessDenied,
    ActivationFailed,
    FedKeeperError,
    FunctionNotFound,
    PayloadTooLarge,
    ProviderError,
    Throttled,
    Unreachable,
)
from fedkeeper.providers.openwhisk.provider import OpenWhiskProvider
from fedkeeper.testing.emulated import Emulated, emulated
from tests.openwhisk.answers import Answers, Say, self_signed
from tests.openwhisk.bench import ECHO, make_spec, open_provider, provider_of

KEY = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:secretsecret"
SLEEP = "import time\n\ndef handle(params, body):\n    time.sleep(params['s'])\n    return None, b''\n"


def environ_of(url: str) -> Mapping[str, str]:
    return {"OW_API_HOST": url, "OW_AUTH": KEY}


def told(error: pytest.ExceptionInfo[FedKeeperError]) -> str:
    """All that a person sees; never the key."""
    text = f"{error.value} | {error.value.hint}"
    assert KEY not in text
    assert "secretsecret" not in repr(error.value.__cause__)
    return text


# --- the key and the namespace -----------------------------------------------------------------------------------
def test_a_wrong_key(emulator: Emulated) -> None:
    provider = open_provider({**emulator.environ, "OW_AUTH": KEY})
    with pytest.raises(AccessDenied) as error:
        provider.functions("f")
    assert "does not accept the key of providers.openwhisk.edge.auth: The supplied authentication is invalid" in told(error)
    assert "wsk property get --auth" in told(error)


def test_a_key_of_another_form(emulator: Emulated) -> None:
    with pytest.raises(AccessDenied, match=r"providers.openwhisk.edge.auth: the key must have the form user:password"):
        open_provider({**emulator.environ, "OW_AUTH": "secretsecret"})


def test_no_key_at_all() -> None:
    with pytest.raises(AccessDenied, match="needs the environment variable OW_AUTH"):
        open_provider({"OW_API_HOST": "http://127.0.0.1:1"})


def test_a_wrong_namespace(emulator: Emulated) -> None:
    provider = provider_of(emulator, namespace="whisk.system")
    with pytest.raises(AccessDenied) as error:
        provider.invoke("f", {})
    assert "has no right to namespace 'whisk.system'" in told(error)
    assert "leave providers.openwhisk.edge.namespace out" in told(error)


# --- the road ----------------------------------------------------------------------------------------------------
def test_a_platform_that_is_down() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    with pytest.raises(Unreachable) as error:
        open_provider(environ_of(url)).functions("f")
    assert f"{url} (providers.openwhisk.edge.api_host) cannot be reached: ConnectionRefusedError" in told(error)
    assert error.value.retryable


def test_a_certificate_that_nobody_knows(tmp_path: Path) -> None:
    with Answers(lambda _: (200, []), self_signed(tmp_path)) as server:
        with pytest.raises(AccessDenied) as error:
            open_provider(environ_of(server.url)).functions("f")
        assert "is not trusted: certificate verification failed: self-signed certificate" in told(error)
        assert "providers.openwhisk.edge.ca_file" in told(error)
        assert server.asked == []  # the key was not sent


def test_a_certificate_of_ones_own(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    with Answers(lambda _: (200, []), certificate) as server:
        assert open_provider(environ_of(server.url), ca_file=str(certificate)).functions("f") == {}


def test_a_certificate_for_another_host(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    with Answers(lambda _: (200, []), certificate) as server, pytest.raises(AccessDenied) as error:
        open_provider(environ_of(server.url.replace("127.0.0.1", "localhost")), ca_file=str(certificate)).functions("f")
    assert "is not valid for 'localhost'" in told(error)


def test_not_looking_at_the_certificate_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Answers(lambda _: (200, []), self_signed(tmp_path)) as server, caplog.at_level(logging.WARNING):
        provider = open_provider(environ_of(server.url), verify_tls=False)
        assert provider.functions("f") == provider.functions("g") == {}
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("fedkeeper")]
    assert len(ours) == 1
    assert ours[0].startswith("providers.openwhisk.edge.verify_tls is false")


def test_a_ca_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(AccessDenied, match=r"edge.ca_file: .*absent.pem cannot be used: No such file"):
        open_provider(environ_of("https://127.0.0.1:1"), ca_file=str(tmp_path / "absent.pem"))
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("hello")
    with pytest.raises(AccessDenied, match=r"ca_file: .*wrong.pem cannot be used"):
        open_provider(environ_of("https://127.0.0.1:1"), ca_file=str(wrong))


def test_https_to_an_http_port(emulator: Emulated) -> None:
    provider = open_provider({**emulator.environ, "OW_API_HOST": emulator.base_url.replace("http:", "https:")})
    with pytest.raises(Unreachable, match="does it speak https"):
        provider.functions("f")


# --- answers that are none ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("say", "kind", "text"),
    [
        (lambda _: (200, "<html>Log in</html>"), ProviderError, "does not answer like OpenWhisk: no JSON in '<html>"),
        (lambda _: (202, {"id": 1}), ProviderError, "no activationId"),
        (lambda _: (202, ["a"]), ProviderError, "no activationId"),
        (lambda _: (202, {"activationId": 7}), ProviderError, "no activationId"),
        (lambda _: (500, {"error": "There was an internal server error.", "code": "x"}), Unreachable, "has trouble (HTTP 500)"),
        (lambda _: (503, "<html>nginx</html>"), Unreachable, "has trouble (HTTP 503): <html>nginx"),
        (lambda _: (502, {"error": ["odd"]}), Unreachable, "HTTP 502"),
        (lambda _: (429, "slow down"), Throttled, "asks to slow down"),
        (lambda _: (418, {}), ProviderError, "answered HTTP 418"),
    ],
)
def test_answers_of_another_kind(say: Say, kind: type[FedKeeperError], text: str) -> None:
    with Answers(say) as server, pytest.raises(kind) as error:
        open_provider(environ_of(server.url)).invoke("f", {})
    assert text in told(error)
    assert "\n" not in str(error.value)


def test_a_redirection_is_not_followed() -> None:
    with Answers(lambda _: (301, ""), headers={"Location": "https://elsewhere.test/"}) as server:
        with pytest.raises(ProviderError) as error:
            open_provider(environ_of(server.url)).invoke("f", {})
        assert "it sends us elsewhere (HTTP 301) https://elsewhere.test/" in told(error)
        assert len(server.asked) == 1


@pytest.mark.parametrize("answer", [{"a": 1}, [1], [{"activationId": 1}], [{"activationId": "a", "response": 1}], "text"])
def test_a_list_of_activations_that_is_none(answer: Any) -> None:
    def say(asked: Any) -> tuple[int, Any]:
        return (202, {"activationId": f"{len(server.asked):032d}"}) if asked.method == "POST" else (200, answer)

    with Answers(say) as server:
        provider = open_provider(environ_of(server.url))
        ids = [provider.invoke("f", {}).activation_id or "" for _ in range(6)]
        with pytest.raises(ProviderError):
            provider.status(ids)


# --- sizes and limits --------------------------------------------------------------------------------------------
def test_too_large_before_it_is_sent() -> None:
    with Answers(lambda _: (202, {"activationId": "a"})) as server:
        with pytest.raises(PayloadTooLarge) as error:
            open_provider(environ_of(server.url), max_request=1000).invoke("f", {"x": "y" * 1000})
        assert server.asked == []
    assert "over the limit of 1,000 bytes (providers.openwhisk.edge.max_request)" in told(error)
    assert str(error.value).startswith("f: ")


def test_too_large_for_the_installation(emulator: Emulated) -> None:
    provider = provider_of(emulator, max_request=8 << 20)
    provider.create(*make_spec("f", ECHO))
    with pytest.raises(PayloadTooLarge) as error:
        provider.call("f", {}, bytes(1 << 20), 10)
    assert "Request larger than allowed: 13" in told(error)
    assert "(providers.openwhisk.edge.max_request)" in told(error)
    assert "whisk.activation.payload.max" in told(error)


def test_an_answer_too_large(provider: OpenWhiskProvider) -> None:
    provider.create(*make_spec("f", "def handle(params, body):\n    return None, bytes(1 << 20)\n"))
    with pytest.raises(PayloadTooLarge, match=r"a response of 1,398,1\d\d bytes .*edge.max_response"):
        provider.call("f", {}, timeout_s=10)


@pytest.mark.parametrize(
    ("limits", "real"),
    [
        ({"memory_mb": 1024}, "memory 1024 MB exceeds allowed threshold of 512 MB"),
        ({"timeout_s": 900}, "duration 900000 milliseconds exceeds allowed threshold of 5 minutes"),
    ],
)
def test_limits_of_a_function(emulator: Emulated, limits: dict[str, int], real: str) -> None:
    deployable = make_spec("f", ECHO, **limits)
    setting = "max_memory" if "memory_mb" in limits else "max_timeout"
    with pytest.raises(ProviderError, match=rf"functions.fl_client.*providers.openwhisk.edge.{setting}"):
        provider_of(emulator).create(*deployable)
    with pytest.raises(ProviderError) as error:
        provider_of(emulator, max_memory=4096, max_timeout=3600).create(*deployable)
    assert real in told(error)
    assert "whisk.memory.max" in told(error)


def test_a_zip_that_is_too_large(provider: OpenWhiskProvider) -> None:
    spec, _ = make_spec("f", ECHO)
    with pytest.raises(ProviderError, match=r"a zip of 37,748,737 bytes is more than OpenWhisk takes"):
        provider.create(spec, bytes(36 * 1024**2 + 1))


def test_a_kind_the_installation_does_not_have(provider: OpenWhiskProvider) -> None:
    with pytest.raises(ProviderError) as error:
        provider.create(*make_spec("f", ECHO, options={"kind": "python:2"}))
    assert "The specified runtime 'python:2' is not supported" in told(error)
    assert "functions.<role>.openwhisk.kind" in told(error)


# --- slow down ---------------------------------------------------------------------------------------------------
def test_the_minute_is_full(tmp_path: Path) -> None:
    limits = {"openwhisk": OpenWhiskLimits(invocations_per_minute=2)}
    with emulated(tmp_path, limits=limits) as emulator:
        provider = provider_of(emulator)
        provider.create(*make_spec("f", ECHO))
        while time.time() % 60 > 55:
            time.sleep(0.5)
        provider.invoke("f", {})
        provider.invoke("f", {})
        with pytest.raises(Throttled) as error:
            provider.invoke("f", {})
    assert "Too many requests in the last minute (count: 3, allowed: 2)." in told(error)
    assert "providers.openwhisk.edge.invocations_per_minute" in told(error)
    assert "limits.actions.invokes.perMinute" in told(error)
    assert error.value.retry_after is not None
    assert abs((time.time() + error.value.retry_after) % 60 - 30) > 28  # the next full minute


def test_too_much_in_flight(tmp_path: Path) -> None:
    limits = {"openwhisk": OpenWhiskLimits(max_concurrency=1)}
    with emulated(tmp_path, limits=limits) as emulator:
        provider = provider_of(emulator)
        provider.create(*make_spec("f", SLEEP))
        provider.invoke("f", {"s": 10})
        with pytest.raises(Throttled) as error:
            provider.invoke("f", {"s": 10})
    assert "Too many concurrent requests in flight (count: 1, allowed: 1)." in told(error)
    assert "providers.openwhisk.edge.max_concurrency" in told(error)
    assert error.value.retry_after is None


# --- functions ---------------------------------------------------------------------------------------------------
def test_a_function_deleted_behind_our_back(provider: OpenWhiskProvider, emulator: Emulated) -> None:
    deployable = make_spec("f", ECHO)
    provider.create(*deployable)
    assert emulator.platforms["openwhisk"].delete("guest", "f")
    for attempt in (lambda: provider.invoke("f", {}), lambda: provider.call("f", {}, timeout_s=5)):
        with pytest.raises(FunctionNotFound) as error:
            attempt()
        assert told(error).startswith("f: there is no such action in namespace '_'")
    with pytest.raises(FunctionNotFound):
        provider.update(*deployable)
    provider.create(*deployable)
    assert provider.call("f", {}, timeout_s=10).result == {"echo": {}}


def test_a_secret_that_is_not_set(provider: OpenWhiskProvider) -> None:
    with pytest.raises(AccessDenied, match="f needs the environment variable STORE_URL, which is not set"):
        provider.create(*make_spec("f", ECHO, secrets={"FEDKEEPER_STORE": "STORE_URL"}))


def test_the_runtime_lacks_a_library(provider: OpenWhiskProvider) -> None:
    provider.create(*make_spec("f", "import tensorflow_of_another_world\n"))
    with pytest.raises(
        ActivationFailed, match=r"No module named 'tensorflow_of_another_world'.*functions.<role>.openwhisk.image"
    ):
        provider.call("f", {}, timeout_s=10)


def test_parameters_that_are_no_json(provider: OpenWhiskProvider) -> None:
    with pytest.raises(ProviderError, match="the parameters are not JSON"):
        provider.invoke("f", {"x": {1, 2}})
