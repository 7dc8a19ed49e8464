"""Lambda's rates: so many requests a second, with as many saved up, then 429 TooManyRequestsException.

Bucket(15).take(now) -> True, or False when there is no token left        filled again at 15 a second
"""

from __future__ import annotations

from fedkeeper.emulator.aws_wire import Refused
from fedkeeper.emulator.limits import AwsLimits


class Bucket:
    def __init__(self, per_second: float) -> None:
        self._rate, self._tokens, self._at = float(per_second), float(per_second), 0.0

    def take(self, now: float) -> bool:
        self._tokens = min(self._rate, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class Quota:
    """Of the account in its region: invocations, GetFunction, and everything else."""

    def __init__(self, limits: AwsLimits) -> None:
        self._invocations = Bucket(limits.invocations_per_second)
        self._gets = Bucket(limits.gets_per_second)
        self._control = Bucket(limits.control_per_second)

    def take(self, operation: str, now: float) -> None:
        if operation == "Invoke":
            if not self._invocations.take(now):
                raise throttled("Rate Exceeded.", "FunctionInvocationRateLimitExceeded")
        elif not (self._gets if operation == "GetFunction" else self._control).take(now):
            raise throttled("Rate exceeded", "CallerRateLimitExceeded")


def throttled(message: str, reason: str) -> Refused:
    return Refused("TooManyRequestsException", message, reason=reason, retry_after_s=1)
