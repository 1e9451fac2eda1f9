#!/bin/sh
# Takes away what build, tests and demo made in this repository: target/ and .build/ (with libtorch, about 500 MB).
# What stays: Debian packages and the source of apt that bootstrap.sh added; the folders of demos in the system's
# temporary folder (depa-house-*), which hold the files of an audit, logs, or what --keep left.
set -eu
cd "$(dirname "$0")/.."
rm -rf target .build
echo "target/ and .build/ are gone" >&2
