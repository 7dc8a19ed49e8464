"""From a fabric to deployed functions: one way, no way back.

    Fabric -> wanted (resources.py) -> zips (package.py) -> Plan (plan.py, pure) -> Printer | Applier (apply.py)
                                                               ^
                          what the clusters hold now + the deployment record (record.py)

Every step of the Applier is recorded before and after it is done: a crashed deploy goes on where it stopped, and `remove` finds everything.
"""
