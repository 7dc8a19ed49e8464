#!/bin/sh
# The sample spec from nothing to a trained model and back: deploy, start, remove. Called by `make demo`.
# `remove` runs whatever happened before it (a failure, Ctrl-C); the exit code is that of the step that failed.
set -u
cd "$(dirname "$0")/.."

spec=config-sample.yaml
fedkeeper=.venv/bin/fedkeeper

clean_up() {
    code=$?
    trap '' INT TERM # a second Ctrl-C must not leave functions behind
    step remove || { removed=$?; [ "$code" -ne 0 ] || code=$removed; }
    trap - EXIT
    exit "$code"
}

step() {
    printf '\n$ fedkeeper %s -c %s\n' "$1" "$spec"
    $fedkeeper "$1" -c "$spec" </dev/null
}

trap 'exit 130' INT
trap 'exit 143' TERM
trap clean_up EXIT

step deploy || exit
step start || exit

run=$(ls -td logs/*/ | head -n 1)
printf '\nModel, logs and plots are in %s:\n' "$run"
ls "$run"
