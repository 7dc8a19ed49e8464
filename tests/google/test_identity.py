"""Service accounts through google-auth itself, unchanged, at the emulator's token endpoint."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.api_core.client_options import ClientOptions
from google.cloud import functions_v2

from fedkeeper.emulator.google_tokens import Tokens
from fedkeeper.errors import AccessDenied, Unreachable
from fedkeeper.providers.google.caller import GoogleCaller
from fedkeeper.providers.google.config import Config
from fedkeeper.providers.google.identity import Identity
from fedkeeper.testing.emulated import Emulated
from tests.google.bench import ECHO, Bench, make_spec


@pytest.fixture(scope="session")
def key() -> str:
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return made.private_bytes(serialization.Encoding.PEM, form, plain).decode()


def account(key: str, base_url: str, token: str) -> dict[str, str]:
    return {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": token,
        "private_key": key,
        "client_email": "fl@p.iam.gserviceaccount.com",
        "token_uri": f"{base_url}/google/token",
    }


def identity_of(credentials: str) -> Identity:
    return Identity(Config("providers.google.eu", "p", "us-central1", credentials=credentials))


def test_a_service_account_calls_a_private_function(bench: Bench, key: str, tmp_path: Path) -> None:
    bench.open().create(*make_spec("f", ECHO))
    file = tmp_path / "key.json"
    file.write_text(json.dumps(account(key, bench.emulator.base_url, bench.emulator.credentials.google_token)))
    identity = identity_of(str(file))
    url = f"{bench.emulator.base_url}/run/{bench.project}/europe-west3/f"
    token = identity.bearer(url)
    answer = requests.post(url, json={"a": 1}, headers={"Authorization": f"Bearer {token}"}, timeout=10)
    assert answer.json() == {"echo": {"a": 1}}
    other = identity.bearer(url + "-other")
    assert requests.post(url, headers={"Authorization": f"Bearer {other}"}, timeout=10).status_code == 401  # its audience


def test_tokens_are_kept_until_shortly_before_they_expire(emulator: Emulated, key: str) -> None:
    identity = identity_of(json.dumps(account(key, emulator.base_url, emulator.credentials.google_token)))
    identity.bearer("https://f")
    held = identity._tokens["https://f"]
    identity.bearer("https://f")
    assert identity._tokens["https://f"] is held
    held.expiry = (datetime.now(timezone.utc) + timedelta(minutes=4)).replace(tzinfo=None)
    identity.bearer("https://f")
    assert identity._tokens["https://f"] is not held
    assert identity.forget("https://f")
    assert not identity.forget("https://f")


def test_a_service_account_uses_the_api(emulator: Emulated, key: str) -> None:
    identity = identity_of(json.dumps(account(key, emulator.base_url, emulator.credentials.google_token)))
    client = functions_v2.FunctionServiceClient(
        transport="rest", credentials=identity.control(), client_options=ClientOptions(api_endpoint=emulator.base_url)
    )
    parent = f"projects/{emulator.credentials.google_project}/locations/us-central1"
    assert list(client.list_functions({"parent": parent})) == []


def test_a_key_that_is_refused(emulator: Emulated, key: str) -> None:
    identity = identity_of(json.dumps(account(key, emulator.base_url, "another-key")))
    with pytest.raises(AccessDenied, match="no ID token for https://f") as caught:
        identity.bearer("https://f")
    assert key not in str(caught.value)


def test_a_token_service_that_is_down(key: str) -> None:
    identity = identity_of(json.dumps(account(key, "http://127.0.0.1:9", "k")))
    with pytest.raises(Unreachable, match="token service"):
        identity.bearer("https://f")


@pytest.mark.parametrize(("text", "said"), [("no json", "not a service account"), (None, "cannot read")])
def test_a_file_that_cannot_be_used(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "key.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(AccessDenied, match=said) as caught:
        identity_of(str(file)).control()
    assert "GOOGLE_APPLICATION_CREDENTIALS" in caught.value.hint


def test_credentials_come_from_the_setting_or_the_environment() -> None:
    settings = {"project": "p", "credentials": "${env:MY_KEY}"}
    assert Config.of(settings, {"MY_KEY": "/a"}).credentials == "/a"
    assert Config.of({"project": "p"}, {"GOOGLE_APPLICATION_CREDENTIALS": "/b"}).credentials == "/b"
    with pytest.raises(AccessDenied, match="MY_KEY"):
        Config.of(settings, {})
    emulated = Config.of(
        {**settings, "endpoint": "${env:E}", "token": "${env:T}"}, {"E": "http://127.0.0.1:1", "T": "t"}
    )  # the key's variable is not asked for
    assert (emulated.endpoint, emulated.token) == ("http://127.0.0.1:1", "t")


def test_an_invoker_has_a_credential_of_its_own() -> None:
    settings = {"project": "p", "credentials": "${env:OPERATOR_KEY}", "invoker_credentials": "${env:INVOKER_KEY}"}
    assert Config.of(settings, {"OPERATOR_KEY": "/a"}).credentials == "/a"
    assert GoogleCaller(settings, {"INVOKER_KEY": "{}"}).config.credentials == "{}"
    assert GoogleCaller({**settings, "invoker_credentials": None}, {"OPERATOR_KEY": "/a"}).config.credentials == "/a"


def test_issued_tokens_end() -> None:
    tokens, now = Tokens("secret"), time.time()
    made = f"Bearer {tokens.issue('https://f', now)}"
    assert tokens.accepts(made, "https://f", now + 3599) is None
    assert tokens.accepts(made, "https://f", now + 3601) == "expired"
    assert tokens.accepts(made, "https://g", now) == "audience"
    assert tokens.accepts(made[:-2], "https://f", now) == "invalid"
    assert tokens.accepts(None, "https://f", now) == "missing"
