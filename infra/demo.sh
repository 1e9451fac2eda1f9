#!/bin/sh
# The main job in one command: sets up what is missing, builds, and plays three data providers, a data consumer, a
# clean-room provider, a payment system and two SRO people.
#
#   sh infra/demo.sh                    with tables that a seeded generator makes
#   sh infra/demo.sh --data DIR         with the three DEPA COVID tables in DIR
#   sh infra/demo.sh --json             one JSON document on stdout, talk on stderr
#   sh infra/demo.sh --keep             leaves the services running and prints their addresses
#   sh infra/demo.sh --epsilon 0.5      another ε, at most 3.0 (default 1.0)
#   sh infra/demo.sh --scenario mnist   another reference scenario as a whole: covid, credit-risk, brats, mnist, cifar10; --rows N
#   sh infra/demo.sh --dir DIR          everything in this new or empty folder, which stays
#   sh infra/demo.sh --help             this text; once built, target/debug/demo run --help says more
set -eu
for argument in "$@"; do
    case $argument in
    -h | --help) sed -n 's/^# \{0,1\}//p' "$0" | sed -n '/^The main job/,/--help/p' && exit 0 ;;
    esac
done
called_from=$PWD
cd "$(dirname "$0")/.."
sh infra/bootstrap.sh
. infra/env.sh
sh infra/portal.sh || echo "demo: goes on without the portal; the service then shows a plain page in its place" >&2

cargo build --workspace --bins >&2
target=$(cargo metadata --no-deps --offline --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
demo=$target/debug/demo

# Paths in the arguments are the caller's.
cd "$called_from"
exec "$demo" run "$@"
