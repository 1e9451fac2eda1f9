#!/bin/sh
# Judges what the platform is made of: licences, sources and bans of every crate, the list of other people's work, the bill of
# materials. What cannot be judged on this machine says NOT RUN.
#
#   sh infra/supply.sh                        all of it; cargo-deny where it is installed (cargo install --locked cargo-deny)
#   sh infra/supply.sh --advisories FOLDER    and known weaknesses, by a snapshot of the advisory database (a git clone of it)
#   sh infra/supply.sh --sbom FILE            write the bill of materials there (CycloneDX 1.6)
#   sh infra/supply.sh --quick                as the gate has it: a list of other people's work that lags behind the locks is
#                                             said and no fault, every 40th component is judged by the schema
#   sh infra/supply.sh --reproducible         build the clean room's binaries twice, in two folders; the digests must agree (long)
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=infra/env.sh
. infra/env.sh

advisories='' sbom='' reproducible=no quick=''
while [ $# -gt 0 ]; do
    case $1 in
    --advisories) advisories=${2:?a folder} && shift ;;
    --sbom) sbom=${2:?a file} && shift ;;
    --reproducible) reproducible=yes ;;
    --quick) quick=--quick ;;
    *)
        echo "supply: unknown argument $1; known: --advisories, --sbom, --reproducible, --quick" >&2
        exit 2
        ;;
    esac
    shift
done

say() { printf 'supply: %s\n' "$*"; }
python=python3
[ ! -x .build/deploy/bin/python ] || python=.build/deploy/bin/python
bad=0

say "licences and sources, by deny.toml"
if "$python" -c 'import tomllib' 2>/dev/null; then
    "$python" infra/supply/licences.py || bad=1
    "$python" infra/supply/third_party.py --check || [ -n "$quick" ] || bad=1
    made=$(mktemp)
    trap 'rm -f "$made"' EXIT
    "$python" infra/supply/sbom.py >"$made" || bad=1
    if "$python" -c 'import cyclonedx.validation.json, jsonschema' 2>/dev/null; then
        "$python" infra/supply/validate_sbom.py "$made" $quick || bad=1
    else
        say "NOT RUN bill of materials against its schema: sh infra/deploy/check.sh installs the validator"
    fi
    [ -z "$sbom" ] || cp "$made" "$sbom"
else
    say "NOT RUN licences, other people's work, bill of materials: Python 3.11 is missing"
fi

if command -v cargo-deny >/dev/null; then
    cargo deny --offline --all-features check licenses bans sources || bad=1
    if [ -n "$advisories" ]; then
        say "advisories as of $(git -C "$advisories" log -1 --format=%cs 2>/dev/null || echo 'an unknown day')"
        # The snapshot is taken as it is: cargo-deny looks for it under the name that it gives its own copy.
        config=$(mktemp)
        sed "s#^\[advisories\]#[advisories]\ndb-path = \"$(realpath "$advisories")\"#" deny.toml >"$config"
        cargo deny --offline --all-features check --config "$config" --disable-fetch advisories || bad=1
        rm -f "$config"
    else
        say "NOT RUN advisories: no snapshot was given (--advisories FOLDER)"
    fi
else
    say "NOT RUN cargo-deny: not installed (cargo install --locked cargo-deny); licences and sources were judged above"
    say "NOT RUN advisories: they need cargo-deny and a snapshot (--advisories FOLDER)"
fi

[ $reproducible = no ] || sh infra/supply/reproducible.sh || bad=1
exit $bad
