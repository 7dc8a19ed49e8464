#!/bin/sh
# Makes .venv with FedKeeper (editable), every extra and the development tools. Called by `make env`.
#
#   up to date? --yes--> done (a few milliseconds)
#        | no
#   .venv sound? --no--> find Python >= 3.10 --> venv module there? --no--> apt-get, when we may; else say the line to run
#        | yes                                         | yes
#        |<------------------------------------ make .venv anew
#   pip install -e '.[dev]' -c requirements.lock --> write the stamp
#
# The stamp is written last and holds a checksum of everything the environment is made from, so an interrupted call,
# a moved tree, a changed setup.cfg and a changed interpreter are all seen, and repaired by the next call.
# PYTHON=/path/to/python3.12 make env    chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."

venv=.venv
stamp=$venv/.complete
minimum=3.10

say() { printf 'make env: %s\n' "$*"; }
die() { printf 'make env: %s\n' "$*" >&2; exit 1; }

fingerprint() { { pwd; readlink -f $venv/bin/python; cat setup.cfg pyproject.toml requirements.lock tools/env.sh; } | cksum; }

up_to_date() {
    [ -x $venv/bin/python ] && [ -f $stamp ] && [ "$(cat $stamp)" = "$(fingerprint)" ] && asked_for
}

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }
# True when nobody asked for an interpreter, or .venv is of that version.
asked_for() { [ -z "${PYTHON:-}" ] || [ "$(version_of $venv/bin/python)" = "$(version_of "$PYTHON")" ]; }
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }

find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10}; do
        if new_enough "$candidate"; then echo "$candidate"; return; fi
    done
    found=$(version_of "${PYTHON:-python3}") || found=none
    die "FedKeeper needs Python $minimum or newer, found ${found}; install one and run: make env PYTHON=python3.12"
}

# Debian and Ubuntu keep ensurepip in a package of its own.
ensure_venv_module() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null && return
    case $1 in python3) package=python3-venv ;; *) package=python$(version_of "$1")-venv ;; esac
    command -v apt-get >/dev/null || die "$1 has no venv module: install your system's package for it, then run: make env"
    if [ "$(id -u)" = 0 ]; then sudo=
    elif sudo -n true 2>/dev/null; then sudo=sudo
    else die "$1 has no venv module. Run this once, then make env again:  sudo apt-get update && sudo apt-get install -y $package"
    fi
    say "installing $package (Debian keeps Python's venv module in it)"
    apt_get() { $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" </dev/null; }
    apt_get install -y "$package" >/dev/null 2>&1 || { apt_get update && apt_get install -y "$package" >/dev/null; } ||
        die "apt-get could not install $package (see above)"
}

# Sound: a call for it ended well once (so there is a stamp), it was made in this very place (scripts hold absolute paths),
# and it is of the Python that was asked for.
sound() {
    [ -f $stamp ] && $venv/bin/pip --version 2>/dev/null | grep -qF " $(pwd -P)/$venv/" && asked_for
}

make_venv() {
    python=$(find_python) || exit 1
    ensure_venv_module "$python"
    say "making $venv with $python ($(version_of "$python"))"
    "$python" -m venv --clear $venv || die "$python could not make $venv (see above)"
}

# The lock's versions were resolved on one Python; on another one some of them do not exist.
constraints() {
    locked=$(sed -n 's/^# python //p' requirements.lock)
    if [ "$(version_of $venv/bin/python)" = "$locked" ]; then echo "-c requirements.lock"; fi
}

install() {
    pinned=$(constraints)
    say "installing FedKeeper, TensorFlow and the development tools into $venv"
    say "TensorFlow alone is about 270 MB to download; this takes some minutes, once"
    [ -n "$pinned" ] || say "requirements.lock was made on another Python: taking the newest versions that fit"
    # shellcheck disable=SC2086 # two words or none
    PIP_DISABLE_PIP_VERSION_CHECK=1 $venv/bin/python -m pip install -qq -e '.[dev]' $pinned ||
        die "pip failed (see above). When the cause is gone, run make env again: downloads are kept"
}

up_to_date && exit 0
sound || make_venv
rm -f $stamp
install
fingerprint >$stamp
say "ready"
