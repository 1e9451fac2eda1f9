#!/bin/sh
# Judges what the platform is made of: licences, sources and bans of every crate, the list of other people's work, the bill of
# materials of binaries, portal and clients. What cannot be judged on this machine says NOT RUN.
#
#   sh infra/supply.sh                        all of it; cargo-deny where it is there
#   sh infra/supply.sh --deny                 builds cargo-deny first where it is missing (Rust registry; minutes), into .build/tools
#   sh infra/supply.sh --advisories SNAPSHOT  and known weaknesses, by a snapshot of the advisory database: its folder (a clone, or
#                                             unpacked) or a tar file; DEPA_ADVISORIES=SNAPSHOT says the same. Nothing is fetched
#   sh infra/supply.sh --sbom FILE            write the bill of materials there (CycloneDX 1.6)
#   sh infra/supply.sh --quick                as the gate has it: a list of other people's work that lags behind the locks is
#                                             said and no fault, every 40th component is judged by the schema
#   sh infra/supply.sh --reproducible         build the clean room's binaries twice, in two folders; the digests must agree (long)
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=infra/env.sh
. infra/env.sh

advisories=${DEPA_ADVISORIES:-} sbom='' reproducible=no quick='' deny=no
while [ $# -gt 0 ]; do
    case $1 in
    --deny) deny=yes ;;
    --advisories) advisories=${2:?a folder or a tar file} && shift ;;
    --sbom) sbom=${2:?a file} && shift ;;
    --reproducible) reproducible=yes ;;
    --quick) quick=--quick ;;
    *)
        echo "supply: unknown argument $1; known: --deny, --advisories, --sbom, --reproducible, --quick" >&2
        exit 2
        ;;
    esac
    shift
done

say() { printf 'supply: %s\n' "$*"; }
# The gate lists these at its end.
not_run() { printf 'NOT RUN %s\n' "$*"; }
python=python3
[ ! -x .build/deploy/bin/python ] || python=.build/deploy/bin/python
bad=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say "licences and sources, by deny.toml"
if "$python" -c 'import tomllib' 2>/dev/null; then
    "$python" infra/supply/licences.py || bad=1
    "$python" infra/supply/third_party.py --check || [ -n "$quick" ] || bad=1
    made=$work/sbom.json
    "$python" infra/supply/sbom.py >"$made" || bad=1
    if "$python" -c 'import cyclonedx.validation.json, jsonschema' 2>/dev/null; then
        "$python" infra/supply/validate_sbom.py "$made" $quick || bad=1
    else
        not_run "bill of materials against its schema: sh infra/deploy/check.sh installs the validator"
    fi
    [ -z "$sbom" ] || cp "$made" "$sbom"
else
    not_run "licences, other people's work, bill of materials: Python 3.11 is missing"
fi

# One version, so that its verdict changes by a commit alone; without optimisation it is built in a third of the time.
version=0.20.2
cargo_deny=
if [ "$(.build/tools/bin/cargo-deny --version 2>/dev/null)" = "cargo-deny $version" ]; then
    cargo_deny=$PWD/.build/tools/bin/cargo-deny
elif [ $deny = yes ]; then
    say "building cargo-deny $version"
    # Outside the repository: neither its settings nor its folder of build products count.
    tools=$PWD/.build/tools
    if (
        unset RUSTC_WORKSPACE_WRAPPER RUSTC_WRAPPER
        cd "$work"
        CARGO_INCREMENTAL=0 CARGO_TARGET_DIR=$work/target cargo install --quiet --locked --debug --version $version --root "$tools" cargo-deny
    ); then
        cargo_deny=$tools/bin/cargo-deny
        rm -rf "$work/target"
    else
        bad=1
    fi
elif command -v cargo-deny >/dev/null; then
    cargo_deny=cargo-deny
fi

# A snapshot as cargo-deny wants it: under the name that it gives its own copy, and as if it had been fetched now. How old it
# is, is said by its newest advisory.
known_weaknesses() {
    snapshot=$1 judged=$(mktemp -d "$work/judged.XXXXXX")
    if [ -f "$snapshot" ]; then
        mkdir "$judged/unpacked"
        tar -xf "$snapshot" -C "$judged/unpacked"
        snapshot=$(find "$judged/unpacked" -maxdepth 2 -type d -name crates | head -n 1)
        snapshot=${snapshot%/crates}
    fi
    if [ ! -d "$snapshot/crates" ]; then
        echo "supply: $1 is no advisory database: it has no folder crates" >&2
        return 1
    fi
    day=$(grep -rhoE '^date *= *"[0-9-]{10}"' "$snapshot/crates" | grep -oE '[0-9-]{10}' | sort | tail -n 1)
    say "known weaknesses, by advisories up to ${day:?no advisory has a date}"
    database=$judged/advisories/advisory-db-3157b0e258782691
    mkdir -p "$database/.git"
    : >"$database/.git/FETCH_HEAD"
    ln -s "$(realpath "$snapshot")/crates" "$database/crates"
    sed "s#^\[advisories\]#[advisories]\ndb-path = \"$judged/advisories\"#" deny.toml >"$judged/deny.toml"
    "$cargo_deny" --offline --config "$judged/deny.toml" check advisories
}

# A snapshot of one advisory, about a crate that is here: PLANTED FOLDER, and the versions that do not have the weakness.
planted() {
    mkdir -p "$1/crates/diesel"
    cat >"$1/crates/diesel/RUSTSEC-2026-9999.md" <<ADVISORY
\`\`\`toml
[advisory]
id = "RUSTSEC-2026-9999"
package = "diesel"
date = "2026-01-01"
[versions]
patched = ["$2"]
\`\`\`

# Planted

To see whether it is found.
ADVISORY
}

# Whether a weakness would be found at all, in a tar file and in a folder.
finds_weaknesses() {
    planted "$work/hits" ">= 999.0.0" && tar -cf "$work/hits.tar" -C "$work" hits
    planted "$work/misses" ">= 0.1.0"
    if known_weaknesses "$work/hits.tar" >"$work/told" 2>&1 || ! grep -q 'RUSTSEC-2026-9999' "$work/told"; then
        cat "$work/told"
        echo "supply: a planted weakness of diesel was not found" >&2
        return 1
    fi
    if ! known_weaknesses "$work/misses" >"$work/told" 2>&1; then
        cat "$work/told"
        echo "supply: a planted weakness of other versions was held against diesel" >&2
        return 1
    fi
    say "a planted weakness is found, and one of other versions is not"
}
if [ -n "$cargo_deny" ]; then
    say "cargo-deny: licences, bans, sources"
    "$cargo_deny" --offline check licenses bans sources || bad=1
    finds_weaknesses || bad=1
    if [ -n "$advisories" ]; then
        known_weaknesses "$advisories" || bad=1
    else
        not_run "advisories: no snapshot was given (--advisories SNAPSHOT)"
    fi
else
    not_run "cargo-deny: not installed (sh infra/supply.sh --deny); licences and sources were judged above"
    not_run "advisories: they need cargo-deny and a snapshot (--advisories SNAPSHOT)"
fi

[ $reproducible = no ] || sh infra/supply/reproducible.sh || bad=1
exit $bad
