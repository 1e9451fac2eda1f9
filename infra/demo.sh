#!/bin/sh
# The main job in one command: sets up what is missing, builds, and plays three data providers, a data consumer, a
# clean-room provider, a payment system and two SRO people.
#
#   sh infra/demo.sh                    with tables that a seeded generator makes
#   sh infra/demo.sh --data DIR         with the three DEPA COVID tables in DIR
#   sh infra/demo.sh --json             one JSON document on stdout, talk on stderr
#   sh infra/demo.sh --keep             leaves the services running and prints their addresses
#   sh infra/demo.sh --help             all options
set -eu
called_from=$PWD
cd "$(dirname "$0")/.."
sh infra/bootstrap.sh
. infra/env.sh

cargo build --workspace --bins >&2
target=$(cargo metadata --no-deps --offline --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
demo=$target/debug/demo

# Paths in the arguments are the caller's.
cd "$called_from"
exec "$demo" run "$@"
