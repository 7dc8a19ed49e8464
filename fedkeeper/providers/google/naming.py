"""Names as Google has them: pure functions, used by the provider, by the caller in an invoker's zip, and by tests.

    "Lab_fl_client-c00" -> platform_name -> "lab-fl-client-c00-1f0e5a3c"     (the hash only when something had to change)
                        -> url_of        -> https://REGION-PROJECT.cloudfunctions.net/<platform name>

The names themselves are kept in the function's environment (FEDKEEPER_FUNCTION), so nothing has to be turned back.
"""

from __future__ import annotations

import hashlib
import re

LONGEST_NAME = 49
"""A function becomes a Cloud Run service of the same name, whose limit is the lower one (functions may have 63)."""
LONGEST_LABEL = 63


def platform_name(name: str) -> str:
    """Lower case letters, digits and hyphens, a letter first: the name itself when it is that already."""
    return _fitted(name, r"[^a-z0-9]+", "-", LONGEST_NAME)


def label_value(text: str) -> str:
    """At most 63 of lower case letters, digits, `_` and `-`."""
    return _fitted(text, r"[^a-z0-9_-]+", "-", LONGEST_LABEL)


def digest_label(digest: str) -> str:
    """As much of "sha256:..." as a label holds; the whole is in the environment variable FEDKEEPER_DIGEST."""
    return digest.removeprefix("sha256:")[: LONGEST_LABEL - 1]


def url_of(project: str, region: str, function: str, endpoint: str | None = None) -> str:
    """Where the function answers: at Google, or below another endpoint (an emulator)."""
    name = platform_name(function)
    if endpoint:
        return f"{endpoint.rstrip('/')}/run/{project}/{region}/{name}"
    return f"https://{region}-{project}.cloudfunctions.net/{name}"


def _fitted(text: str, refused: str, instead: str, longest: int) -> str:
    plain = re.sub(refused, instead, text.lower()).strip("-_")
    plain = plain if plain[:1].isalpha() else f"f-{plain}".rstrip("-")
    if plain == text and len(plain) <= longest:
        return text
    mark = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{plain[: longest - 9].rstrip('-_')}-{mark}"
