"""What stands as `shim.py` beside a vendor's files in the local platform, and keeps the vendor's runtime contract.

    worker --run(params, request)--> <kind>_runner: the vendor's function in the worker itself       (--runtime local)
                                     <kind>_real:   the vendor's runtime, a child of the worker      (--runtime real)
           <--({"error", "kind"}, answer)--

These files travel as text. They import the standard library, each other by the names they travel under, and at most the
vendor's runtime library.
"""
