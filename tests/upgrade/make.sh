#!/bin/sh
# Makes the fixture of a release: plays the main job with its binaries and keeps what its services leave on the disk. Run it
# at the commit of each release, before the next change of a store; a test (tests/house/upgrade.rs) opens all of them.
#
#   cargo build --workspace --bins && sh tests/upgrade/make.sh target/debug 2026-11-21
#
# The keys in it are made for this and serve nothing else.
set -eu
binaries=$(realpath "${1:?the folder of the binaries}") name=${2:?a name: the day of the release}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
house=$work/house
"$binaries/demo" run --dir "$house" --json >"$work/report.json"
# The services were told to end, and do within seconds.
for _ in 1 2 3 4 5 6 7 8 9 10; do
    pgrep -f "$house/" >/dev/null || break
    sleep 1
done
mkdir "$work/$name"
for part in contract-service witness icmr/kms; do
    mkdir -p "$work/$name/$part"
    cp -R "$house/$part/." "$work/$name/$part"
done
for person in sro-asha icmr tdc psp; do
    mkdir -p "$work/$name/$person"
    cp "$house/$person/signing.key" "$work/$name/$person/"
done
# The write-ahead logs into their databases: a tenth of the bytes.
find "$work/$name" -name '*.sqlite' -exec python3 -c '
import sqlite3, sys
for path in sys.argv[1:]:
    sqlite3.connect(path).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
' {} +
# The log as an auditor took it then: what comes later must go on from it.
mkdir "$work/$name/audit"
head -n 1 "$house/audit/log-export.jsonl" >"$work/$name/audit/head.json"
cp "$work/report.json" "$work/$name/report.json"
find "$work/$name" \( -name '*.log' -o -name '*.lock' -o -name '*-shm' -o -name '*-wal' -o -name '*.new' \) -delete
# Wherever it lay, it lay in /house.
find "$work/$name" -name '*.toml' -exec sed -i "s#$house#/house#g" {} +
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime='2026-01-01' -cf "$work/$name.tar" "$name"
gzip -9n <"$work/$name.tar" >"$here/$name.tar.gz"
wc -c "$here/$name.tar.gz"
