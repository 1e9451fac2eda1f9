#!/bin/sh
# Takes away what build, tests and demo made in this repository: target/ and .build/ (with libtorch, about 500 MB).
# Debian packages that bootstrap.sh installed stay.
set -eu
cd "$(dirname "$0")/.."
rm -rf target .build
echo "target/ and .build/ are gone" >&2
