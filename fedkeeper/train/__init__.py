"""The round engine: a recorded, resumable loop that moves ids, refs and small JSON, never tensors.

RunState <--fold-- Ledger (store)            state.py, ledger.py
decide(RunState, now) -> Commands            program.py (pure: the star program)
Commands -> events -> invocations            engine.py, assign.py, dispatcher.py
receipts, statuses -> events                 tracker.py
"""
