"""The emulator's own keys, made once for its home, and the variables by which clients find it.

<home>/credentials.json (0600) -> Credentials --variables(base_url)--> OW_*, AWS_*, GOOGLE_*, FEDKEEPER_LAMBDA_ROLE
"""

from __future__ import annotations

import json
import secrets
import uuid
from dataclasses import asdict
from pathlib import Path

from fedkeeper.emulator import files
from fedkeeper.emulator.core import Credentials

PROJECT = "fedkeeper-emulator"
SECRET = ("OW_AUTH", "AWS_SECRET_ACCESS_KEY", "GOOGLE_OAUTH_ACCESS_TOKEN")
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def credentials_of(home: Path) -> Credentials:
    path = home / "credentials.json"
    if path.exists():
        return Credentials(**json.loads(path.read_bytes()))
    made = generate()
    files.folder(home)
    files.write_json(path, asdict(made))
    return made


def generate() -> Credentials:
    """In the forms that the vendors' tools expect."""
    return Credentials(
        openwhisk_key=f"{uuid.uuid4()}:{secrets.token_urlsafe(48).replace('-', 'a').replace('_', 'b')}",
        google_token=f"ya29.{secrets.token_urlsafe(48)}",
        google_project=PROJECT,
        aws_access_key_id="AKIA" + "".join(secrets.choice(_BASE32) for _ in range(16)),
        aws_secret_access_key=secrets.token_hex(20),
    )


def variables(credentials: Credentials, base_url: str) -> dict[str, str]:
    """What `emulate env` prints."""
    return {
        "OW_API_HOST": base_url,
        "OW_AUTH": credentials.openwhisk_key,
        "AWS_ENDPOINT_URL_LAMBDA": base_url,
        "AWS_ACCESS_KEY_ID": credentials.aws_access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.aws_secret_access_key,
        "AWS_DEFAULT_REGION": credentials.aws_region,
        "GOOGLE_CLOUD_FUNCTIONS_ENDPOINT": base_url,
        "GOOGLE_CLOUD_PROJECT": credentials.google_project,
        "GOOGLE_OAUTH_ACCESS_TOKEN": credentials.google_token,
        "FEDKEEPER_LAMBDA_ROLE": f"arn:aws:iam::{credentials.aws_account}:role/fedkeeper",
    }


def masked(values: dict[str, str]) -> dict[str, str]:
    return {name: "***" if name in SECRET else value for name, value in values.items()}
