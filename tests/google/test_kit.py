"""The kit and the guide: what they say of each other and of the code is so."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

from fedkeeper.providers.google.settings import GoogleFunction, GoogleSettings

TOP = Path(__file__).parents[2]
KIT = TOP / "providers" / "google"
GUIDE = (TOP / "docs" / "google.md").read_text()


def test_the_role_is_the_same_in_both_files() -> None:
    role = yaml.safe_load((KIT / "operator-role.yaml").read_text())
    roles = yaml.safe_load((KIT / "roles.yaml").read_text())
    wanted = dict(roles["operator"]["custom_role"])
    assert wanted.pop("id") in (KIT / "set-up.sh").read_text()
    assert role == wanted


def test_nobody_is_given_more_than_a_caller_needs() -> None:
    roles = yaml.safe_load((KIT / "roles.yaml").read_text())
    assert roles["functions"]["bindings"] == []
    assert [binding["role"] for binding in roles["invoker"]["bindings"]] == ["roles/run.invoker"]
    text = "".join(path.read_text() for path in KIT.iterdir())
    assert not re.search(r"allUsers|allAuthenticatedUsers|roles/(owner|editor)\b", text)


def test_the_script_is_a_script() -> None:
    subprocess.run(["sh", "-n", str(KIT / "set-up.sh")], check=True)
    done = subprocess.run(
        ["sh", str(KIT / "set-up.sh")], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "PROJECT" in done.stderr


def test_the_guide_names_settings_that_exist() -> None:
    known = {*GoogleSettings.model_fields, *GoogleFunction.model_fields}
    part = GUIDE.partition("## Settings")[2].partition("### Names")[0]
    named = {
        name for line in part.splitlines() if line.startswith("* ") for name in re.findall(r"`([a-z_]+)`", line.partition(":")[0])
    }
    assert named
    assert named <= known | {"functions"}
    for example in re.findall(r"```yaml\n(providers:.*?)```", GUIDE, re.DOTALL):
        GoogleSettings.model_validate(yaml.safe_load(example)["providers"]["google"]["cloud"])


def test_the_guides_files_exist() -> None:
    for link in re.findall(r"\]\((?!http|#)([^)]+)\)", GUIDE):
        assert (TOP / "docs" / link).exists(), link
