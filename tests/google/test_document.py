from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedkeeper.errors import AccessDenied, ProviderError
from fedkeeper.model import FunctionSpec, Json, Role
from fedkeeper.providers.google.config import Config
from fedkeeper.providers.google.document import check_limits, cpu_of, function_document
from fedkeeper.providers.google.naming import label_value, platform_name, url_of
from fedkeeper.providers.google.settings import GoogleFunction, GoogleSettings

CONFIG = Config("providers.google.eu", "p", "europe-west3", max_timeout_s=600)


def spec_of(**given: Json) -> FunctionSpec:
    made = FunctionSpec("lab-f", "Lab", "eu", Role.CLIENT, "sha256:" + "0" * 64, memory_mb=2048, timeout_s=300)
    return replace(made, **given)


@given(st.text(min_size=1, max_size=120))
def test_platform_names_are_what_google_takes(name: str) -> None:
    made = platform_name(name)
    assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", made)
    assert len(made) <= 49
    assert platform_name(name) == made


@given(st.text(max_size=120))
def test_label_values_are_what_google_takes(text: str) -> None:
    assert re.fullmatch(r"[a-z0-9_-]{0,63}", label_value(text))


@given(st.lists(st.text("aA_.-0", min_size=1, max_size=60), unique=True, max_size=20))
def test_different_names_stay_different(names: list[str]) -> None:
    assert len({platform_name(name) for name in names}) == len(names)


def test_good_names_are_kept() -> None:
    assert platform_name("lab-fl-client-c00") == "lab-fl-client-c00"
    assert platform_name("lab-fl_client").startswith("lab-fl-client-")


def test_where_a_function_answers() -> None:
    assert url_of("p", "us-east1", "f") == "https://us-east1-p.cloudfunctions.net/f"
    assert url_of("p", "us-east1", "f", "http://127.0.0.1:1/") == "http://127.0.0.1:1/run/p/us-east1/f"


def test_the_whole_document() -> None:
    spec = spec_of(
        environment={"A": "1"},
        secrets={"FEDKEEPER_STORE": "STORE_URL"},
        options={"cpu": 2.0, "min_instances": 1, "max_instances": 9, "concurrency": 4, "runtime": "python311"},
    )
    settings = {"service_account": "fl@p.iam.gserviceaccount.com", "ingress": "internal"}
    made = function_document(spec, CONFIG, settings, {"STORE_URL": "mongodb://secret"})
    service = made["service_config"]
    assert made["name"] == "projects/p/locations/europe-west3/functions/lab-f"
    assert made["build_config"] == {"runtime": "python311", "entry_point": "fedkeeper"}
    assert (service["available_memory"], service["available_cpu"], service["timeout_seconds"]) == ("2048Mi", "2", 300)
    assert (service["min_instance_count"], service["max_instance_count"]) == (1, 9)
    assert service["max_instance_request_concurrency"] == 4
    assert service["service_account_email"] == "fl@p.iam.gserviceaccount.com"
    assert service["ingress_settings"] == "ALLOW_INTERNAL_ONLY"
    assert service["environment_variables"]["FEDKEEPER_STORE"] == "mongodb://secret"
    assert service["environment_variables"]["FEDKEEPER_DIGEST"] == spec.digest
    assert made["labels"]["fedkeeper-digest"] == spec.digest[7:69]
    assert made["labels"]["fedkeeper-fabric"].startswith("lab-")


def test_a_missing_secret_is_named_and_no_value_is_told() -> None:
    with pytest.raises(AccessDenied, match="STORE_URL") as caught:
        function_document(spec_of(secrets={"A": "OTHER", "B": "STORE_URL"}), CONFIG, {}, {"OTHER": "hidden-value"})
    assert "hidden-value" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("memory", "options", "cpu"),
    [(512, {}, None), (512, {"concurrency": 8}, "1"), (8192, {"concurrency": 2}, "2"), (512, {"cpu": 0.5}, "0.5")],
)
def test_cpus(memory: int, options: dict[str, Json], cpu: str | None) -> None:
    assert cpu_of(spec_of(memory_mb=memory, options=options)) == cpu


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"memory_mb": 4096}, "providers.google.eu.max_memory"),
        ({"timeout_s": 601}, "providers.google.eu.max_timeout"),
        ({"options": {"cpu": 0.5, "concurrency": 2}}, "options.google.cpu"),
    ],
)
def test_limits_are_said_before_anything_is_uploaded(given: dict[str, Json], said: str) -> None:
    with pytest.raises(ProviderError, match=said):
        check_limits(spec_of(**given), {"max_memory": 2048}, CONFIG)


def test_settings_have_defaults_and_refuse_a_clear_token() -> None:
    assert GoogleSettings.model_validate({"project": "p"}).endpoint is None
    assert GoogleFunction().concurrency == 1
    with pytest.raises(ValueError, match="clear text"):
        GoogleSettings.model_validate({"project": "p", "token": "ya29.secret"})
