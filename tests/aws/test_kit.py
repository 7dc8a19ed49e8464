"""The operator's kit: templates that lint, policies that agree with it and with what the adapter calls."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fedkeeper.providers.aws import bootstrap, control, documents

KIT = Path(__file__).parents[2] / "providers" / "aws"


class Cloud(yaml.SafeLoader):
    """CloudFormation's short forms, as text."""


Cloud.add_multi_constructor("!", lambda loader, suffix, node: f"{suffix}:{node.value}")


def template() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((KIT / "template.yaml").read_text(), Cloud)
    return loaded


def statements(name: str) -> dict[str, Any]:
    return {s.get("Sid", ""): s for s in json.loads((KIT / name).read_text())["Statement"]}


def listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def test_the_template_lints() -> None:
    pytest.importorskip("cfnlint")
    command = [str(Path(sys.executable).with_name("cfn-lint")), str(KIT / "template.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "resource"), [("operator-policy.json", "OperatorPolicy"), ("invoker-policy.json", "InvokerPolicy")]
)
def test_the_policies_are_the_templates(name: str, resource: str) -> None:
    found = template()["Resources"][resource]["Properties"]["PolicyDocument"]["Statement"]
    assert {s["Sid"]: sorted(listed(s["Action"])) for s in found} == {
        sid: sorted(listed(s["Action"])) for sid, s in statements(name).items()
    }


def test_the_functions_role_is_the_templates() -> None:
    role = template()["Resources"]["FunctionRole"]["Properties"]
    found = role["Policies"][0]["PolicyDocument"]["Statement"]
    assert {s["Sid"]: s["Action"] for s in found} == {sid: s["Action"] for sid, s in statements("function-policy.json").items()}
    assert role["AssumeRolePolicyDocument"] == json.loads((KIT / "function-trust.json").read_text())


def _policies() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(KIT.glob("*-policy.json")):
        for statement in json.loads(path.read_text())["Statement"]:
            yield path.name, statement


def test_no_policy_gives_more_than_it_names() -> None:
    open_ones = {"lambda:ListFunctions", "ecr:GetAuthorizationToken"}  # AWS knows no resource for these
    for name, statement in _policies():
        actions = listed(statement["Action"])
        assert not [action for action in actions if "*" in action], name
        if "*" in listed(statement["Resource"]):
            assert set(actions) <= open_ones, name


def test_the_operator_may_do_what_the_adapter_does() -> None:
    source = Path(control.__file__).read_text()
    called = set(re.findall(r'self\._(?:call|unhurried)\(\s*"(\w+)"', source)) | {"create_function", "invoke_function"}
    assert {"list_functions", "tag_resource", "put_function_event_invoke_config"} <= called
    needed = {"lambda:" + "".join(part.title() for part in name.split("_")) for name in called}
    allowed = {action for s in statements("operator-policy.json").values() for action in listed(s["Action"])}
    assert needed <= allowed


def test_the_image_starts_the_bootstrap() -> None:
    text = (KIT / "Dockerfile").read_text()
    assert f'CMD ["{documents.IMAGE_HANDLER}"]' in text
    copied = re.search(r"^COPY (\S+) ", text, re.MULTILINE)
    assert copied is not None
    assert (KIT.parents[1] / copied[1]).samefile(bootstrap.__file__)


def test_the_bootstrap_needs_nothing_of_fedkeeper(tmp_path: Path) -> None:
    shutil.copy(bootstrap.__file__, tmp_path / "bootstrap.py")
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import bootstrap"]
    subprocess.run(command, check=True, timeout=30)


def test_the_kit_has_no_python() -> None:
    assert not list(KIT.rglob("*.py"))
