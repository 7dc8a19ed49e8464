"""The entry of FedKeeper's container image for Lambda: fetches the function's zip and hands over to the shim in it.

    FEDKEEPER_PACKAGE=s3://bucket/key --boto3--> /tmp/fedkeeper/<digest>/ --sys.path--> lambda_function.handler(event, context)

An image holds libraries only (TensorFlow, NumPy), so it is built once and serves every fabric; the code travels as for any other
provider. The file's name in the bucket is its digest: what was fetched is checked. Standard library and the image's boto3 only,
because providers/aws/Dockerfile copies this one file.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import os
import sys
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

VARIABLE = "FEDKEEPER_PACKAGE"
FOLDER = Path("/tmp/fedkeeper")  # the only place of a Lambda function that can be written to


def handler(event: Any, context: Any) -> Any:
    """One activation; the first one of an execution environment fetches the zip."""
    return entry(os.environ.get(VARIABLE, ""))(event, context)


@lru_cache(maxsize=1)
def entry(address: str) -> Callable[[Any, Any], Any]:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    if not (address.startswith("s3://") and bucket and key):
        raise RuntimeError(f"{VARIABLE} must be s3://bucket/key, not {address!r}: deploy this function with FedKeeper")
    folder = unpack(fetch(bucket, key), Path(key).stem, FOLDER)
    sys.path.insert(0, str(folder))
    made: Callable[[Any, Any], Any] = importlib.import_module("lambda_function").handler
    return made


def fetch(bucket: str, key: str) -> bytes:
    import boto3

    data: bytes = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return data


def unpack(data: bytes, digest: str, folder: Path) -> Path:
    if hashlib.sha256(data).hexdigest() != digest:
        raise RuntimeError(f"the package in the bucket is not the one that was deployed ({digest})")
    target = folder / digest
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(target)
    return target
