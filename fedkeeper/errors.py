"""Everything that can go wrong, as one tree. Each class owns its exit code and a default hint.

    FedKeeperError ......................... 1   (a defect of ours; anything unforeseen)
    |- UsageError .......................... 2   the command line or a call asks for something impossible
    |- SpecError ........................... 3   the YAML file; carries every Problem found, with file:line
    |  `- OldSpecError ..................... 3   a version 0.1 file: run `fedkeeper upgrade`
    |- DeployError ......................... 4
    |  |- NotDeployed ...................... 4   `start` before `deploy`
    |  |- StaleDeployment .................. 4   the deployed part of the spec changed since
    |  `- PackageError ..................... 4   a zip cannot be made (missing file, missing requirement)
    |- ProviderError ....................... 5
    |  |- Unreachable ...................... 5   nobody answers (retryable)
    |  |- Throttled ........................ 5   slow down; carries retry_after (retryable)
    |  |- AccessDenied ..................... 5
    |  |- FunctionNotFound ................. 5   re-create it, then retry
    |  |- PayloadTooLarge .................. 5   names the limit and the setting
    |  `- ActivationFailed ................. 5   the function ran and failed (held calls)
    |- StoreError .......................... 6
    |  |- StoreUnreachable ................. 6   its server does not answer (retryable)
    |  |- BlobMissing ...................... 6
    |  |- ReceiptConflict .................. 6   other bytes under a key that is written once
    |  |- CorruptData ...................... 6   bytes that are not what they claim to be
    |  |- Fenced ........................... 6   another orchestrator appended to this ledger
    |  `- RunNotFound ...................... 6
    |- RunFailed ........................... 7   quorum not reachable, aggregator or evaluator failed for good
    |- MissingExtra ........................ 8   an optional library is not installed; prints the pip line
    |- RunBusy ............................. 9   another orchestrator holds the run
    |- TaskError .......................... 10   the user's task file cannot be used
    `- Interrupted ....................... 130   Ctrl-C; the run can be resumed

Foreign errors (sockets, SDKs, YAML) are translated to these at one border per adapter, `raise ... from exc`.
Only `fedkeeper.cli` turns an error into an exit code. `docs/troubleshooting.md` has one section per code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class FedKeeperError(Exception):
    """One clear line: what, where, and (hint) what to do next."""

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str | None = None, where: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = self.default_hint if hint is None else hint

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class UsageError(FedKeeperError):
    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One mistake in a spec: where it is and what would be right."""

    message: str
    path: str = ""  # dotted key path, e.g. "providers.local.laptop.workers"
    line: int | None = None  # 1-based
    column: int | None = None  # 1-based
    hint: str = ""


class SpecError(FedKeeperError):
    """The spec is wrong. `problems` lists every mistake found, in line order; `text` is the source for snippets."""

    exit_code = 3

    def __init__(
        self,
        message: str,
        *,
        problems: Sequence[Problem] = (),
        file: str | None = None,
        text: str = "",
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, where=file)
        self.problems = tuple(problems)
        self.file = file
        self.text = text


class OldSpecError(SpecError):
    default_hint = "run `fedkeeper upgrade OLD > NEW` and use the new file"


class DeployError(FedKeeperError):
    exit_code = 4


class NotDeployed(DeployError):
    default_hint = "run `fedkeeper deploy` first"


class StaleDeployment(DeployError):
    default_hint = "run `fedkeeper deploy` to bring the functions up to date"


class PackageError(DeployError):
    pass


class ProviderError(FedKeeperError):
    exit_code = 5


class Unreachable(ProviderError):
    retryable = True


class Throttled(ProviderError):
    """The platform asks us to slow down. `retry_after` is in seconds, None when it did not say."""

    retryable = True

    def __init__(self, message: str, *, retry_after: float | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class AccessDenied(ProviderError):
    pass


class FunctionNotFound(ProviderError):
    default_hint = "run `fedkeeper deploy` to create it again"


class PayloadTooLarge(ProviderError):
    pass


class ActivationFailed(ProviderError):
    """A held call whose function ran and failed. `error` is the function's own message."""

    retryable = True


class StoreError(FedKeeperError):
    exit_code = 6


class StoreUnreachable(StoreError):
    retryable = True


class BlobMissing(StoreError):
    pass


class ReceiptConflict(StoreError):
    pass


class CorruptData(StoreError):
    pass


class Fenced(StoreError):
    default_hint = "another orchestrator has taken this run over; look at `fedkeeper status`"


class RunNotFound(StoreError):
    default_hint = "`fedkeeper runs` lists the runs"


class RunFailed(FedKeeperError):
    exit_code = 7


class MissingExtra(FedKeeperError):
    """An optional library is missing."""

    exit_code = 8

    def __init__(self, library: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {library}, which is not installed", hint=f"pip install 'fedkeeper[{extra}]'")
        self.library = library
        self.extra = extra


class RunBusy(FedKeeperError):
    exit_code = 9
    default_hint = "wait for it, or stop it with `fedkeeper stop`"


class TaskError(FedKeeperError):
    exit_code = 10


class Interrupted(FedKeeperError):
    exit_code = 130
    default_hint = "`fedkeeper resume` goes on from here"
