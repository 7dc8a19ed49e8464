"""The JSON Schema, the page made from it, the settings of the providers, and the registry that knows where they are."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fedkeeper.errors import ProviderError
from fedkeeper.providers.base import Provider
from fedkeeper.providers.registry import ADAPTERS, SETTINGS, provider_class, settings_models
from fedkeeper.spec import docs
from fedkeeper.spec.schema import json_schema, schemas_at

ROOT = Path(__file__).parent.parent.parent
SCHEMA = json_schema(settings_models())
MINIMAL: dict[str, dict[str, Any]] = {
    "local": {},
    "openwhisk": {"api_host": "https://h:31001", "auth": "${env:A}"},
    "google": {"project": "p"},
    "aws": {"region": "eu-central-1", "role": "arn:aws:iam::1:role/x"},
}


def test_the_page_is_up_to_date() -> None:
    output = io.StringIO()
    docs.main(output)
    page = (ROOT / "docs" / "spec.md").read_text(encoding="utf-8")
    assert output.getvalue() == page, "stale; run: python -m fedkeeper.spec.docs > docs/spec.md"


def test_the_page_names_every_key() -> None:
    page = docs.render(settings_models())
    keys = {key for definition in SCHEMA["$defs"].values() for key in definition.get("properties", {})}
    assert [key for key in sorted(keys) if f"| `{key}` |" not in page] == []


def test_every_key_is_explained_and_every_mapping_is_closed() -> None:
    for name, definition in [*SCHEMA["$defs"].items(), ("root", SCHEMA)]:
        assert definition["additionalProperties"] is False, name
        assert definition.get("description"), name
        for key, node in definition["properties"].items():
            assert node.get("description"), f"{name}.{key}"
    assert SCHEMA["$schema"].endswith("2020-12/schema")
    assert SCHEMA["required"] == ["version", "name", "providers", "scenarios"]
    json.dumps(SCHEMA, allow_nan=False)


def test_references_lead_somewhere() -> None:
    text = json.dumps(SCHEMA)
    for name in {part.split('"')[0] for part in text.split("#/$defs/")[1:]}:
        assert name in SCHEMA["$defs"]


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ((), "providers"),
        (("providers",), "local"),
        (("providers", "aws", "any"), "role"),
        (("scenarios", "federated_learning", "clients", "groups", 3), "weights"),
        (("scenarios", "federated_learning", "data", "dataset"), "sha256"),
        (("scenarios", "federated_learning", "functions", "fl_client", "openwhisk"), "image"),
    ],
)
def test_keys_at_a_path(path: tuple[str | int, ...], key: str) -> None:
    assert any(key in form.get("properties", {}) for form in schemas_at(SCHEMA, path))
    assert not list(schemas_at(SCHEMA, (*path, "nothing", "below")))


# --- the providers' settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SETTINGS)
def test_settings_survive_being_stored(kind: str) -> None:
    model = settings_models()[kind]
    settings = model.model_validate(MINIMAL[kind])
    plain = settings.model_dump(mode="json")
    assert json.loads(json.dumps(plain)) == plain
    assert model.model_validate(plain) == settings
    for limit in ("max_request", "max_response", "max_memory"):
        assert type(plain[limit]) is int
    assert type(plain["max_timeout"]) is float


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("local", {"workers": 0}), ("local", {"workers": True}), ("local", {"max_memory": "much"}), ("local", {"nothing": 1}),
        ("openwhisk", {"auth": "user:password"}), ("openwhisk", {"api_host": "h:31001"}), ("openwhisk", {"api_host": "https://u:p@h"}),
        ("openwhisk", {"namespace": "a/b"}), ("openwhisk", {"verify_tls": "maybe"}), ("google", {"region": "somewhere"}),
        ("google", {"project": "${env:}"}), ("aws", {"region": "eu"}), ("aws", {"secret_access_key": "AKIA"}), ("aws", {"role": ""}),
    ],
)  # fmt: skip
def test_settings_that_are_wrong(kind: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings_models()[kind].model_validate({**MINIMAL[kind], **wrong})


def test_switches_take_the_old_words() -> None:
    model = settings_models()["openwhisk"]
    values = {
        word: model.model_validate({**MINIMAL["openwhisk"], "verify_tls": word}).model_dump()["verify_tls"]
        for word in ("yes", "Off", True)
    }
    assert values == {"yes": True, "Off": False, True: True}


def test_adapters() -> None:
    assert set(ADAPTERS) == set(SETTINGS)
    for kind in ADAPTERS:
        assert issubclass(provider_class(kind), Provider)
        assert provider_class(kind).kind == kind
    with pytest.raises(ProviderError, match="unknown provider 'lokal'") as caught:
        provider_class("lokal")
    assert "local" in caught.value.hint


def test_imports_are_light() -> None:
    """Neither the registry nor the room pulls in pydantic or YAML before they are used."""
    code = (
        "import sys, fedkeeper.spec, fedkeeper.providers.registry\n"
        "assert not {'pydantic', 'yaml', 'numpy', 'tensorflow', 'keras'} & set(sys.modules), sorted(sys.modules)\n"
        "import fedkeeper.spec.loader, fedkeeper.spec.render, fedkeeper.spec.upgrade\n"
        "assert not [name for name in sys.modules if name.startswith('fedkeeper.providers.') and name != 'fedkeeper.providers.registry']\n"
        "assert not {'numpy', 'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)
