"""The console entry point: `fedkeeper VERB`. Nothing heavy is imported here."""

from __future__ import annotations

import click

from fedkeeper.cli.lazy import LazyGroup, Verb
from fedkeeper.version import __version__

_PROJECT, _FUNCTIONS, _RUNS, _STORE, _EMULATOR, _SHELL = "Project", "Functions", "Runs", "Store", "Emulator", "Shell"
VERBS = {
    "init": Verb("fedkeeper.cli.project:init", "Write a spec and an example to start from.", _PROJECT),
    "check": Verb("fedkeeper.cli.check:check", "Validate the spec; with --deploy, try every cluster.", _PROJECT),
    "schema": Verb("fedkeeper.cli.project:schema", "Print the JSON Schema of the spec, for editors.", _PROJECT),
    "upgrade": Verb("fedkeeper.cli.project:upgrade", "Translate a version 0.1 spec to today's form.", _PROJECT),
    "plan": Verb("fedkeeper.cli.deploying:plan", "Show what deploy would do; change nothing.", _FUNCTIONS),
    "deploy": Verb("fedkeeper.cli.deploying:deploy", "Create or update the functions on every cluster.", _FUNCTIONS),
    "invoke": Verb("fedkeeper.cli.functions:invoke", "Call one deployed function and print its answer.", _FUNCTIONS),
    "remove": Verb("fedkeeper.cli.deploying:remove", "Delete every function; runs and models stay.", _FUNCTIONS),
    "start": Verb("fedkeeper.cli.running:start", "Begin a run and watch it to its end.", _RUNS),
    "stop": Verb("fedkeeper.cli.running:stop", "Ask a run to end after the round it is in.", _RUNS),
    "resume": Verb("fedkeeper.cli.running:resume", "Go on with a run that was interrupted.", _RUNS),
    "status": Verb("fedkeeper.cli.looking:status", "Show where a run stands, or how it ended.", _RUNS),
    "runs": Verb("fedkeeper.cli.looking:runs", "List the runs of this fabric.", _RUNS),
    "logs": Verb("fedkeeper.cli.logs:logs", "Show what happened in a run, or what a function printed.", _RUNS),
    "report": Verb("fedkeeper.cli.reporting:report", "Write the report of a run: one HTML file.", _RUNS),
    "export": Verb("fedkeeper.cli.functions:export", "Write a run's model to a file.", _RUNS),
    "store": Verb("fedkeeper.cli.storing:store", "Give functions rights in the store; collect old weights.", _STORE),
    "emulate": Verb("fedkeeper.cli.emulating:emulate", "Serve the APIs of the three clouds on this machine.", _EMULATOR),
    "completion": Verb("fedkeeper.cli.project:completion", "Print the completion script of a shell.", _SHELL),
}


@click.group(
    "fedkeeper",
    cls=LazyGroup,
    verbs=VERBS,
    invoke_without_command=True,
    subcommand_metavar="VERB [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`fedkeeper VERB --help` explains a verb. Exit codes: docs/troubleshooting.md.",
)
@click.version_option(__version__, message="%(prog)s %(version)s", prog_name="fedkeeper")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Federated learning over a fabric of FaaS platforms, from one YAML spec.

    In short: init, deploy, start, remove.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> None:
    """What the `fedkeeper` command runs."""
    cli.main(prog_name="fedkeeper")
