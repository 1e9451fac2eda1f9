#!/bin/sh
# Takes away what build, tests and demo made in this repository: target/ and .build/ (with libtorch, about 500 MB), and
# the portal's packages and build.
# What stays: Debian packages and the source of apt that bootstrap.sh added; the folders of demos in the system's
# temporary folder (depa-house-*), which hold the files of an audit, logs, or what --keep left.
set -eu
cd "$(dirname "$0")/.."
rm -rf target .build portal/node_modules portal/src/api/schema.d.ts
rm -rf clients/typescript/node_modules clients/typescript/dist clients/typescript/src/schema.d.ts
find portal/dist -mindepth 1 ! -name .gitkeep -delete
echo "target/, .build/ and what was built in portal/ are gone" >&2
