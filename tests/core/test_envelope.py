"""Parameters and bodies on the wire: both forms give back what went in, and nothing else gets through."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedkeeper.errors import AccessDenied, CorruptData
from fedkeeper.providers.envelope import seal, seal_json, unseal, unseal_json
from fedkeeper.providers.secrets import resolved, variables

HEADERS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner), max_leaves=8
)


@given(header=HEADERS, body=st.binary(max_size=200))
def test_both_forms_return_what_went_in(header: object, body: bytes) -> None:
    assert unseal(seal(header, body)) == (header, body)
    assert unseal_json(json.loads(json.dumps(seal_json(header, body)))) == (header, body)


@given(data=st.binary(max_size=60))
def test_hostile_bytes_are_refused(data: bytes) -> None:
    try:
        unseal(data)
    except CorruptData:
        return
    assert len(data) >= 8


@pytest.mark.parametrize("data", [{}, {"params": {}, "body": "no base64!"}, {"body": "AA=="}, [], None, {"params": 1, "body": 3}])
def test_hostile_json_is_refused(data: object) -> None:
    with pytest.raises(CorruptData, match="not an envelope"):
        unseal_json(data)  # type: ignore[arg-type]


def test_settings_are_filled_from_the_environment() -> None:
    settings = {"auth": "${env:KEY}", "host": "https://${env:HOST}:31001", "limit": 3}
    assert variables(settings) == ("KEY", "HOST")
    assert resolved(settings, {"KEY": "k", "HOST": "h"}, "x") == {"auth": "k", "host": "https://h:31001", "limit": 3}
    with pytest.raises(AccessDenied, match=r"providers\.openwhisk\.edge\.auth needs the environment variable KEY") as refused:
        resolved(settings, {"HOST": "h"}, "providers.openwhisk.edge")
    assert refused.value.hint == "export KEY=..."
