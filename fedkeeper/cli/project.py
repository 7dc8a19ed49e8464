"""Verbs about the project's files: init, schema, upgrade, completion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fedkeeper.cli.session import Session, standard
from fedkeeper.errors import UsageError

if TYPE_CHECKING:
    from importlib.abc import Traversable

_SHELLS = ("bash", "zsh", "fish")
# The sample's name in the package -> its name in a project. Files under tasks/ keep theirs.
_STARTERS = {"config.yaml": "config.yaml", "project.md": "README.md", "gitignore.txt": ".gitignore"}


@click.command("init", short_help="Write a spec and an example to start from.")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
@standard(config=False)
def init(session: Session, folder: Path, force: bool) -> None:
    """Write config.yaml and what goes with it into DIR (the current folder by default).

    The spec runs as it is, on this machine: `fedkeeper deploy`, then `fedkeeper start`.
    """
    files = starter_files(session.tools.samples())
    taken = sorted(name for name in files if (folder / name).exists())
    if taken and not force:
        raise UsageError(f"{', '.join(taken)} already in {folder}", hint="--force overwrites, or name another folder")
    for name, content in files.items():
        _write(folder / name, content)
    session.show({"folder": folder, "files": list(files)}, lambda: "\n".join(str(folder / name) for name in files))
    session.say("next: " + ("" if folder == Path() else f"cd {folder}, then ") + "`fedkeeper deploy` and `fedkeeper start`")


def starter_files(samples: Traversable) -> dict[str, bytes]:
    """Name in the project -> content."""
    files = {target: (samples / name).read_bytes() for name, target in _STARTERS.items()}
    tasks = samples / "tasks"
    if tasks.is_dir():
        found = sorted((entry for entry in tasks.iterdir() if entry.is_file()), key=lambda entry: entry.name)
        files |= {f"tasks/{entry.name}": entry.read_bytes() for entry in found}
    return files


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as exc:
        raise UsageError(f"cannot write {path}: {exc.strerror}") from exc


@click.command("schema", short_help="Print the JSON Schema of the spec, for editors.")
@standard(config=False)
def schema(session: Session) -> None:
    """Print the JSON Schema of the spec: every key, with its type, default and meaning.

    In an editor with a YAML language server, put this line on top of a spec:
    # yaml-language-server: $schema=schema.json
    """
    from fedkeeper import wiring

    data = wiring.schema()
    session.show(data, lambda: json.dumps(data, indent=2))


@click.command("upgrade", short_help="Translate a version 0.1 spec to today's form.")
@click.argument("old", metavar="OLD", type=click.Path(path_type=Path))
@standard(config=False)
def upgrade(session: Session, old: Path) -> None:
    """Print today's form of the version 0.1 spec OLD: `fedkeeper upgrade OLD > NEW`."""
    from fedkeeper.spec.upgrade import upgrade as translate

    try:
        text = old.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"cannot read {old}: {exc}") from exc
    new = translate(text, str(old))
    session.show({"spec": new.text, "warnings": list(new.warnings)}, lambda: new.text.rstrip("\n"))
    for warning in new.warnings:
        session.say(f"warning: {warning}")


@click.command("completion", short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(_SHELLS))
@standard(config=False)
def completion(session: Session, shell: str) -> None:
    """Print the completion script of SHELL; its own start-up file can evaluate it.

    \b
    bash  eval "$(fedkeeper completion bash)"       in ~/.bashrc
    zsh   eval "$(fedkeeper completion zsh)"        in ~/.zshrc
    fish  fedkeeper completion fish | source        in ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    from fedkeeper.cli.main import cli

    made = get_completion_class(shell)
    if made is None:
        raise UsageError(f"there is no completion for {shell}")
    script = made(cli, {}, "fedkeeper", "_FEDKEEPER_COMPLETE").source()
    session.show({"shell": shell, "script": script}, lambda: script)
