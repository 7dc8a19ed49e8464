"""The border: what Lambda, or the road to it, says -> one of our errors. The first row that fits wins.

    code                                      text             error              what to do
    UnrecognizedClient, ...                                    AccessDenied       the key, its secret, its token, the clock, the region
    AccessDenied                                               AccessDenied       the policy
    ResourceNotFound                                           FunctionNotFound   deploy
    RequestTooLarge, RequestEntityTooLarge                     PayloadTooLarge    max_request | bucket
    TooManyRequests, Throttling, ...                           Throttled          pace; says which limit of AWS was met
    ResourceConflict                          Pending          Throttled          a moment later
    InvalidParameterValue                     role | image ... ProviderError      names the setting
    CodeStorageExceeded, ServiceQuota, ...                     ProviderError      ask for a higher quota
    5xx, no connection, no answer                              Unreachable        (retryable)

A credential never stands in a message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from fedkeeper.errors import (
    AccessDenied,
    FedKeeperError,
    FunctionNotFound,
    PayloadTooLarge,
    ProviderError,
    Throttled,
    Unreachable,
)
from fedkeeper.model import Json
from fedkeeper.providers.aws.config import Config

CONFLICT = "ResourceConflictException"
_SHOWN = 300


@dataclass(frozen=True)
class Refusal:
    """An error of the service. `where` is the function that was asked for, or ""."""

    code: str
    status: int
    text: str
    where: str = ""
    reason: str = ""  # of a throttling
    retry_after: float | None = None


class NoAnswer(Exception):
    """The connection held, and nothing came in time. Whoever waited knows what it means."""


@contextmanager
def border(config: Config, where: str = "", patience_s: float | None = None) -> Iterator[None]:
    """Everything botocore raises leaves as an error of ours; silence as NoAnswer, or as Unreachable where `patience_s` is named."""
    from botocore.exceptions import ReadTimeoutError

    try:
        yield
    except ReadTimeoutError as exc:
        if patience_s is None:
            raise NoAnswer from exc
        raise Unreachable(f"{config.address} did not answer within {patience_s:g} s", where=where or None) from exc
    except FedKeeperError:
        raise
    except Exception as exc:
        made = _translated(config, exc, where)
        if made is None:
            raise
        raise made from exc


def error_of(config: Config, refusal: Refusal) -> ProviderError:
    for codes, pattern, make in _TABLE:
        if re.search(codes, refusal.code) and re.search(pattern, refusal.text, re.IGNORECASE):
            return make(config, refusal)
    if refusal.status >= 500:
        return Unreachable(
            f"Lambda in {config.region} has trouble ({refusal.code}, HTTP {refusal.status}): {brief(refusal.text)}",
            where=refusal.where or None,
            hint="it is worth another try; https://health.aws.amazon.com says more",
        )
    if refusal.code.isdigit():  # botocore found no error type in the answer
        return strange(config, f"HTTP {refusal.status} {refusal.text}")
    return _error(ProviderError, config, refusal, "refuses this", "")


def brief(text: str) -> str:
    """One line, not too long."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"


def too_large(config: Config, where: str, size: int, limit: int, setting: str) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"a payload of {size:,} bytes is over the limit of {limit:,} bytes ({config.where}.{setting})",
        where=where,
        hint="Lambda cannot be told to take more: use a smaller model, or `weights: store` for these clients",
    )


def refusal_of(response: Mapping[str, Json], where: str) -> Refusal:
    """From botocore's ClientError.response."""
    error, meta = response.get("Error", {}), response.get("ResponseMetadata", {})
    headers = meta.get("HTTPHeaders", {})
    after = headers.get("retry-after", "")
    return Refusal(
        code=str(error.get("Code", "")),
        status=int(meta.get("HTTPStatusCode", 0)),
        text=str(error.get("Message") or response.get("message") or response.get("Message") or ""),
        where=where,
        reason=str(response.get("Reason", "")),
        retry_after=float(after) if re.fullmatch(r"\d+(\.\d+)?", after) else None,
    )


def _translated(config: Config, exc: Exception, where: str) -> ProviderError | None:
    """None for what is a defect of ours, not an answer of theirs."""
    from botocore import exceptions as foreign
    from botocore.parsers import ResponseParserError

    if isinstance(exc, foreign.ClientError):
        return error_of(config, refusal_of(exc.response, where))
    if isinstance(exc, ResponseParserError):
        return strange(config, str(exc))
    denied = _denied(config, exc)
    if denied is not None:
        return denied
    if isinstance(exc, foreign.ConnectionError | foreign.HTTPClientError | foreign.IncompleteReadError):
        hint = f"is {config.where}.region right, and is there a way to the network? `aws lambda list-functions` must answer"
        return Unreachable(f"{config.address} cannot be reached: {brief(str(exc))}", where=where or None, hint=hint)
    if isinstance(exc, foreign.BotoCoreError | ValueError):
        return ProviderError(f"{config.where}: {brief(str(exc))}", where=where or None)
    return None


def _denied(config: Config, exc: Exception) -> AccessDenied | None:
    """What is missing on this side."""
    from botocore import exceptions as foreign

    text = brief(str(exc))
    if isinstance(exc, foreign.SSLError):
        hint = "set AWS_CA_BUNDLE when a proxy of yours signs connections; otherwise do not go on"
        return AccessDenied(f"the certificate of {config.address} is not trusted: {text}", hint=hint)
    if isinstance(exc, foreign.NoCredentialsError | foreign.PartialCredentialsError | foreign.CredentialRetrievalError):
        return AccessDenied(f"{config.where}: no complete AWS credentials: {text}", hint=HINT_CREDENTIALS)
    if isinstance(exc, foreign.ProfileNotFound | foreign.TokenRetrievalError | foreign.SSOError):
        return AccessDenied(f"{config.where}.profile: {text}", hint="`aws configure list-profiles`, or `aws sso login`")
    return None


def strange(config: Config, text: str) -> ProviderError:
    hint = f"{config.where}.endpoint must be the address of a Lambda API, or be left out"
    return ProviderError(f"{config.address} does not answer like Lambda: {brief(text)}", hint=hint)


HINT_CREDENTIALS = (
    "export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a `profile`; `aws sts get-caller-identity` shows what is found"
)

Maker = Callable[[Config, Refusal], ProviderError]


def _error(kind: type[ProviderError], config: Config, refusal: Refusal, says: str, hint: str) -> ProviderError:
    text = f"Lambda in {config.region} {says} ({refusal.code or refusal.status}): {brief(refusal.text)}"
    return kind(text, where=refusal.where or None, hint=hint.replace("{where}", config.where))


def _says(kind: type[ProviderError], says: str, hint: str) -> Maker:
    return lambda config, refusal: _error(kind, config, refusal, says, hint)


def _throttled(config: Config, refusal: Refusal) -> ProviderError:
    limit, hint = _REASONS.get(refusal.reason, ("a rate", "ask for a higher quota under `Service Quotas` if this is often seen"))
    where = f"{refusal.where}: " if refusal.where else ""
    return Throttled(
        f"{where}Lambda in {config.region} asks to slow down, {limit} is used up ({refusal.reason or refusal.code})",
        retry_after=refusal.retry_after,
        hint=hint.replace("{where}", config.where),
    )


def _not_ready(config: Config, refusal: Refusal) -> ProviderError:
    return Throttled(
        f"{refusal.where or 'a function'} is still being made by Lambda in {config.region}: {brief(refusal.text)}",
        retry_after=refusal.retry_after or 1.0,
        hint="it takes seconds, for a large image a minute",
    )


_CONCURRENCY = (
    "lower {where}.max_concurrency or clients_per_round, or ask for a higher quota `Concurrent executions` under Service Quotas"
)
_REASONS: Mapping[str, tuple[str, str]] = {
    "ConcurrentInvocationLimitExceeded": ("the region's number of concurrent executions", _CONCURRENCY),
    "ReservedFunctionConcurrentInvocationLimitExceeded": (
        "the function's reserved concurrency",
        "raise functions.<role>.aws.reserved_concurrency or leave it out",
    ),
    "FunctionInvocationRateLimitExceeded": ("the rate of invocations", _CONCURRENCY),
    "ReservedFunctionInvocationRateLimitExceeded": ("the rate of invocations", _CONCURRENCY),
    "CallerRateLimitExceeded": (
        "the rate of API calls",
        "wait a moment: another program may be using the account's 15 calls per second",
    ),
}

_KEY = "is the access key right and still active? `aws sts get-caller-identity` asks AWS"
_SECRET = "the secret key does not go with the access key: export both again, without spaces or quotes in them"
_CLOCK = "this machine's clock is wrong by minutes: set it (`timedatectl set-ntp true`)"
_REGION = "{where}.region must be the region of the endpoint"
_TOKEN = "get new temporary credentials (`aws sso login`, or assume the role again), then `fedkeeper resume`"
_POLICY = "give this identity the actions of providers/aws/operator-policy.json"
_ROLE = (
    "{where}.role must be the ARN of a role that lambda.amazonaws.com may assume (providers/aws/template.yaml makes one); a new role takes"
    " some ten seconds"
)
_IMAGE = "push the image to ECR in the function's region and account: docs/aws.md, `The image`"
_UNZIPPED = "set functions.<role>.aws.image: what does not fit a zip fits an image of up to 10 GB"
_QUOTA = "delete what is not needed, or ask for a higher quota under `Service Quotas` > AWS Lambda"
_RESERVED = (
    "100 executions stay unreserved: lower functions.<role>.aws.reserved_concurrency, or ask for more concurrent executions"
)
_MEMORY = "new accounts may have 3,008 MB only: lower functions.<role>.memory and {where}.max_memory, or ask for the full quota"
_SIZE = "{where}.max_request must not be over 6MB; zips over 50 MB need {where}.bucket"
_BUCKET = "{where}.bucket must be a bucket of this account in the functions' region, and the operator's policy must allow s3:PutObject there"

_TABLE: tuple[tuple[str, str, Maker], ...] = (
    ("^ExpiredToken", "", _says(AccessDenied, "says that the credentials have expired", _TOKEN)),
    (
        "^(InvalidSignature|SignatureDoesNotMatch|RequestExpired)",
        "expired|not yet current",
        _says(AccessDenied, "refuses the time", _CLOCK),
    ),
    ("^InvalidSignature", "scoped to", _says(AccessDenied, "is not the region that was asked for", _REGION)),
    ("^(InvalidSignature|SignatureDoesNotMatch)", "", _says(AccessDenied, "does not accept the secret key", _SECRET)),
    (
        "^(UnrecognizedClient|InvalidClientToken|MissingAuth|IncompleteSig|InvalidAccessKey)",
        "",
        _says(AccessDenied, "does not know the key", _KEY),
    ),
    ("^AccessDenied", "", _says(AccessDenied, "does not allow this", _POLICY)),
    ("^NoSuchBucket|^PermanentRedirect", "", _says(ProviderError, "has no such bucket", _BUCKET)),
    ("^ResourceNotFound", "", lambda c, r: FunctionNotFound(f"there is no such function in {c.region}", where=r.where or None)),
    ("(EntityTooLarge|RequestTooLarge)|^413$", "", _says(PayloadTooLarge, "takes less at once", _SIZE)),
    ("^(TooManyRequests|Throttling|EC2Throttled|RequestLimitExceeded|SlowDown)|^429$", "", _throttled),
    ("^(ResourceConflict|ResourceNotReady|CodeArtifactUserPending)", "pending|in progress|not ready|being created", _not_ready),
    (f"^{CONFLICT}", "", _says(ProviderError, "is busy with the same function", "try again: deploy is repeatable")),
    ("^CodeStorageExceeded", "", _says(ProviderError, "has no more room for code", _QUOTA)),
    ("^(ServiceQuota|LimitExceeded)", "", _says(ProviderError, "has reached a quota", _QUOTA)),
    ("^InvalidParameterValue", r"\brole\b", _says(ProviderError, "cannot use the role", _ROLE)),
    ("^InvalidParameterValue", "UnreservedConcurrentExecution", _says(ProviderError, "has not so much to reserve", _RESERVED)),
    ("^InvalidParameterValue", "unzipped size", _says(PayloadTooLarge, "takes no zip of this size", _UNZIPPED)),
    ("^(InvalidParameterValue|Validation)", "memory", _says(ProviderError, "refuses the memory", _MEMORY)),
    ("^(InvalidParameterValue|InvalidImage)", "image|ecr", _says(ProviderError, "cannot use the image", _IMAGE)),
    ("^InvalidParameterValue", "S3 Error|GetObject", _says(ProviderError, "cannot read the zip in the bucket", _BUCKET)),
)
