"""How a step ends: outputs to the store first, then the receipt, once.

outputs -> put_blob -> Ref ; Receipt(key, inputs, outputs, ...) -> put_receipt -> {"receipt": digest, ...} as the function's answer
"""

from __future__ import annotations

from fedkeeper.model import Json, Receipt, StepKey
from fedkeeper.stores.base import Store


def earlier(store: Store, run: str, key: StepKey) -> dict[str, Json] | None:
    """The answer, when an earlier attempt has already done the step: duplicates cost nothing."""
    receipt = store.get_receipt(run, key)
    return answer(receipt, repeated=True) if receipt is not None else None


def commit(store: Store, run: str, receipt: Receipt) -> dict[str, Json]:
    """Write the receipt and make the function's answer."""
    written = store.put_receipt(run, receipt)
    return answer(receipt, repeated=not written)


def answer(receipt: Receipt, *, repeated: bool) -> dict[str, Json]:
    return {"receipt": receipt.digest, "metrics": dict(receipt.metrics), "examples": receipt.examples, "repeated": repeated}
