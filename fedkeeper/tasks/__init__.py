"""The built-in tasks: files in the form every user's task has (see `fedkeeper.runtime.task`). They travel in the zip as they are."""
