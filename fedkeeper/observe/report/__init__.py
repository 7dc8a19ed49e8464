"""The report of a run: one HTML file that needs no network and runs no script, made from the ledger's events alone.

    events --story.py--> Story (RunFold, and what no table holds) --page.py--> report.html
                           |-- figures.py   numbers: causes, clusters, clients, samples
                           `-- charts.py, timeline.py, gantt.py, sections.py -- markup.py: everything from outside is escaped

Long runs are never cut silently: where rows or rounds are left out, the page says which and where the rest is.
"""
