"""requirements.lock holds all that setup.cfg asks for, and is written as env.sh reads it."""

from __future__ import annotations

import configparser
import re
import runpy

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.tree import ROOT


def wanted() -> list[Requirement]:
    """What setup.cfg names, extras resolved, FedKeeper itself left out, for the machine this is."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = [setup["options"]["install_requires"], *setup["options.extras_require"].values()]
    requirements = [Requirement(line) for text in lines for line in text.splitlines() if line.strip()]
    return [each for each in requirements if each.name != "fedkeeper" and (each.marker is None or each.marker.evaluate())]


def locked() -> dict[str, str]:
    pins = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pins}


def test_the_lock_covers_setup_cfg() -> None:
    """When this fails: `make lock`."""
    pins = locked()
    missing = [str(each) for each in wanted() if canonicalize_name(each.name) not in pins]
    outside = [str(each) for each in wanted() if not each.specifier.contains(pins.get(canonicalize_name(each.name), "0"))]
    assert (missing, outside) == ([], [])


def test_the_lock_is_sorted_and_says_its_python() -> None:
    render = runpy.run_path(str(ROOT / "tools" / "lock.py"))["render"]
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = [{"name": name, "version": version} for name, version in re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE)]
    (python,) = re.findall(r"^# python (\d\.\d+)$", text, re.MULTILINE)
    body = render(list(reversed(pins))).splitlines()
    assert [line for line in text.splitlines() if not line.startswith("#")] == [line for line in body if not line.startswith("#")]
    assert python.startswith("3.")
