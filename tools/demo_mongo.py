"""The digits on MongoDB, from nothing to a trained model and back. Called by `make demo-mongo`.

mongod up -> store grant -> deploy -> start -> status from another folder -> remove -> mongod down

The server is a child of this process, with passwords made for this call; it and its data go when the demo ends.
FEDKEEPER_DEMO_MONGO_URL names another server, whose user may make users.
"""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from fedkeeper.testing.mongod import Mongod

TREE = Path(__file__).resolve().parents[1]
SPEC = "examples/mongo.yaml"
COMMAND = Path(sys.executable).with_name("fedkeeper")
DATABASE = "fedkeeper_demo"


def main() -> int:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fedkeeper-mongod-")))
        url = os.environ.get("FEDKEEPER_DEMO_MONGO_URL") or stack.enter_context(Mongod(folder, auth=True)).url_of(DATABASE)
        demo = Demo({"MONGO_URL": url, "MONGO_FUNCTIONS_URL": for_functions(url)}, folder)
        say(f"MongoDB answers on {urlsplit(url).hostname}:{urlsplit(url).port}; MONGO_URL and MONGO_FUNCTIONS_URL are set")
        try:
            trained = demo.step("store", "grant") or demo.step("deploy") or demo.step("start")
            code = trained or demo.step("status", "--store", "${env:MONGO_URL}", elsewhere=True)
        finally:
            removed = demo.step("remove")
        return code or removed


@dataclass(frozen=True)
class Demo:
    """Runs commands as a user would type them. `elsewhere` is a folder without a spec."""

    variables: Mapping[str, str]
    elsewhere: Path

    def step(self, *words: str, elsewhere: bool = False) -> int:
        arguments = [*words, *([] if elsewhere else ["-c", SPEC])]
        say(f"\n$ {shlex.join(['fedkeeper', *arguments])}")
        place = self.elsewhere if elsewhere else TREE
        return subprocess.run([COMMAND, *arguments], cwd=place, env={**os.environ, **self.variables}, check=False).returncode


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def for_functions(url: str) -> str:
    """The same server and database, as a user of lesser rights."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"fedkeeper-functions:{quote(secrets.token_urlsafe(12))}@{place}"))


if __name__ == "__main__":
    sys.exit(main())
