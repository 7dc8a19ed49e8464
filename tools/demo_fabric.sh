#!/bin/sh
# The mixed fabric, offline: emulator up, deploy, start, remove, emulator down. Called by `make demo-fabric`.
# Whatever happens, the functions are removed and the emulator ends; the exit code is that of the step that failed.
set -u
cd "$(dirname "$0")/.."

spec=examples/mixed-fabric.yaml
fedkeeper=.venv/bin/fedkeeper

clean_up() {
    code=$?
    trap '' INT TERM
    step remove || { removed=$?; [ "$code" -ne 0 ] || code=$removed; }
    step emulate down
    trap - EXIT
    exit "$code"
}

step() {
    printf '\n$ fedkeeper %s -c %s\n' "$*" "$spec"
    $fedkeeper "$@" -c "$spec" </dev/null
}

trap 'exit 130' INT
trap 'exit 143' TERM
step emulate up || exit
trap clean_up EXIT
variables=$($fedkeeper emulate env -c "$spec") || exit
eval "$variables"

step deploy || exit
step start || exit
