from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedkeeper.deploy.closure import closure
from fedkeeper.errors import AccessDenied, DeployError, PackageError, ProviderError
from fedkeeper.providers.aws import documents
from fedkeeper.providers.aws.config import Config
from fedkeeper.providers.aws.naming import fabric_prefix, platform_name
from fedkeeper.providers.aws.settings import AwsSettings
from tests.aws.bench import ROLE, SETTINGS, provider_at, spec_of

CONFIG = Config.of(SETTINGS, {}, "providers.aws.eu")
IMAGE = {"image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/fedkeeper:1"}


@given(st.text(max_size=100))
def test_every_name_becomes_one_that_lambda_takes(name: str) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9-_]{1,64}", platform_name(name))


@given(st.text(alphabet="ab._-", max_size=70), st.text(alphabet="ab._-", max_size=70))
def test_two_names_never_become_one(one: str, two: str) -> None:
    assert (platform_name(one) == platform_name(two)) == (one == two)


@given(st.text(alphabet="abc._-ä", min_size=1, max_size=80), st.text(alphabet="xyz.", max_size=60))
def test_a_functions_name_begins_with_its_fabric(fabric: str, rest: str) -> None:
    assert platform_name(f"{fabric}-{rest}").startswith(fabric_prefix(fabric))


def test_a_usual_name_stays() -> None:
    assert platform_name("demo-fl_client-aws-17") == "demo-fl_client-aws-17"


@pytest.mark.parametrize("line", ["tensorflow>=2.16", "tensorflow-cpu", "Keras>=3", "torch"])
def test_a_library_that_fits_no_zip_is_refused_with_the_setting(line: str) -> None:
    with pytest.raises(PackageError, match="does not fit a Lambda zip") as caught:
        documents.check(CONFIG, spec_of("f", requirements=(line, "numpy")))
    assert "functions.<role>.aws.image" in caught.value.hint


def test_in_an_image_it_fits_when_there_is_a_bucket_for_the_code() -> None:
    spec = spec_of("f", requirements=("tensorflow",), options=IMAGE)
    with pytest.raises(DeployError, match=r"providers\.aws\.eu\.bucket is not set"):
        documents.check(CONFIG, spec)
    documents.check(Config.of({**SETTINGS, "bucket": "code"}, {}, "providers.aws.eu"), spec)


def test_limits_name_both_settings() -> None:
    with pytest.raises(ProviderError, match=r"functions\.fl_client\.memory of 20000 MB .*providers\.aws\.eu\.max_memory"):
        documents.check(CONFIG, spec_of("f", memory_mb=20000))
    with pytest.raises(ProviderError, match=r"functions\.fl_client\.timeout of 901 s .*providers\.aws\.eu\.max_timeout"):
        documents.check(CONFIG, spec_of("f", timeout_s=901))


def test_a_large_zip_needs_a_bucket() -> None:
    with pytest.raises(PackageError, match=r"providers\.aws\.eu\.bucket is not set"):
        documents.check_size(CONFIG, spec_of("f"), documents.DIRECT + 1)
    documents.check_size(CONFIG, spec_of("f"), documents.DIRECT)
    with_bucket = Config.of({**SETTINGS, "bucket": "code"}, {}, "providers.aws.eu")
    documents.check_size(with_bucket, spec_of("f"), documents.DIRECT + 1)
    with pytest.raises(PackageError, match="250 MB unzipped"):
        documents.check_size(with_bucket, spec_of("f"), 251 << 20)


def test_too_many_variables_are_refused_without_their_values() -> None:
    with pytest.raises(DeployError, match="takes 4,096") as caught:
        documents.variables(spec_of("f", secrets={"A": "MINE"}), {"MINE": "s3cret" * 800}, None)
    assert "s3cret" not in str(caught.value) + caught.value.hint


def test_a_missing_secret_is_named() -> None:
    with pytest.raises(AccessDenied, match="STORE_URL"):
        documents.variables(spec_of("f", secrets={"FEDKEEPER_STORE": "STORE_URL"}), {}, None)


def test_names_that_lambda_keeps_for_itself_travel_under_another() -> None:
    given = {"AWS_ACCESS_KEY_ID": "id", "AWS_ENDPOINT_URL_LAMBDA": "http://x", "PLAIN": "p"}
    found = documents.variables(spec_of("f", environment=given), {}, None)
    assert found == {"FEDKEEPER_SET_AWS_ACCESS_KEY_ID": "id", "AWS_ENDPOINT_URL_LAMBDA": "http://x", "PLAIN": "p"}


def test_an_image_is_told_where_its_code_lies() -> None:
    stored = {"bucket": "code", "key": "fedkeeper/abc.zip"}
    fields = documents.configuration(CONFIG, spec_of("f", options=IMAGE), {}, stored)
    assert fields["Environment"]["Variables"] == {"FEDKEEPER_PACKAGE": "s3://code/fedkeeper/abc.zip"}
    assert fields["ImageConfig"] == {"Command": ["bootstrap.handler"]}
    assert not {"Runtime", "Handler", "Layers"} & fields.keys()
    assert documents.code_of(spec_of("f", options=IMAGE), b"zip", stored) == {"ImageUri": IMAGE["image"]}


def test_options_reach_the_request() -> None:
    options = {"runtime": "python3.13", "architecture": "arm64", "ephemeral_storage": 2048, "layers": ["arn:layer:1"]}
    spec = spec_of("f", options=options)
    fields = documents.configuration(CONFIG, spec, {}, {})
    assert (fields["Runtime"], fields["Layers"], fields["EphemeralStorage"]) == ("python3.13", ["arn:layer:1"], {"Size": 2048})
    assert documents.architectures(spec) == ["arm64"]
    assert (fields["Role"], fields["MemorySize"], fields["Timeout"]) == (ROLE, 256, 20)


def test_defaults_are_those_of_the_settings() -> None:
    validated = AwsSettings(region="us-east-1", role=ROLE).model_dump(mode="json")
    assert Config.of(validated, {}, "w") == Config.of({"region": "us-east-1", "role": ROLE}, {}, "w")
    assert Config.of(validated, {}, "w").max_concurrency == AwsSettings.model_fields["max_concurrency"].default


def test_half_a_key_is_refused() -> None:
    with pytest.raises(AccessDenied, match="go together"):
        provider_at(None, access_key_id="AKIA")


def test_the_settings_keys_go_before_those_of_the_environment() -> None:
    environ = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "t", "MINE": "secret"}
    own = Config.of({**SETTINGS, "access_key_id": "id", "secret_access_key": "${env:MINE}"}, environ, "w").keys
    assert own is not None
    assert (own.access_key_id, own.secret_access_key, own.session_token) == ("id", "secret", None)
    found = Config.of(SETTINGS, environ, "w").keys
    assert found is not None
    assert (found.access_key_id, found.session_token) == ("a", "t")
    assert "secret" not in repr(own)


def test_an_invokers_zip_carries_the_caller_and_little_else() -> None:
    files = closure([], ["fedkeeper.providers.aws.caller"])
    own = {Path(name).stem for name in files if name.startswith("fedkeeper/providers/aws/")}
    assert own == {"__init__", "caller", "client", "config", "errors", "invoking", "naming"}
    assert not [name for name, text in files.items() if b"import pydantic" in text or b"import numpy" in text]
