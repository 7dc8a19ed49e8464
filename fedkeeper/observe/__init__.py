"""What people see of a run. Everything here reads the ledger's events and never steers the run.

events --live.py (O(1) per event)--> Live ------> progress.py (terminal), plain.py (pipe)
       --view.py (the same, and rows)-> RunView -> folder.py (logs/<run>/), plots.py, tables.py
       --human.py-------------------> one line of text per event (run.log, `fedkeeper logs`)
"""
