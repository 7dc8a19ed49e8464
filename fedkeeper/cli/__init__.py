"""The command line: thin verbs over `fedkeeper.api`, and the only place where an error becomes an exit code.

    fedkeeper VERB ... --main.py: lazy verbs--> project, check, deploying, running, looking, logs, functions
                                                 |  Session: the options every verb has
                                                 v
                        stdout: data (tables, or one JSON document)      stderr: talk (progress, hints, errors)

Only click and the standard library are imported before a verb is chosen.
"""
