#!/bin/sh
# Sets up what other people's implementations need to check ours: Python environments under .build/interop, each
# from its list of pinned packages with hashes (pyscitt 0.10.1 wants cbor2 5, scitt-cose 0.5.0 wants cbor2 6 or later; models
# are read with numpy and safetensors; `croissant` is mlcroissant without what only reading data needs; `objects` is a local S3 and GCS, moto; `webhooks` is the official verifier, in Python and, by a
# lock file, in JavaScript).
#
#   sh infra/interop.sh       makes what is missing; ends with 3 and says NOT RUN where Python or its packages are not to be had
#   sh infra/interop.sh azurite   besides, a local Azure Blob Storage for the test `azure` of objects: 365 MB of Node packages
#
# The tests `interop::*` and `webhook_interop::*` of contract-service, the portal's scenario of the wizard, `oracle::*` of payment-adapter, `rehearsals::*` of depa, `s3`, `gcs` and `memory` of objects and
# `refusals::objects` of the house use them; without them they say NOT RUN.
set -eu
cd "$(dirname "$0")/.."
base=.build/interop

not_run() {
    printf 'NOT RUN interoperability: %s\n' "$*"
    exit 3
}

python=
for candidate in python3.11 python3; do
    if [ "$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = 3.11 ]; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || not_run "Python 3.11 is not installed"

mkdir -p "$base"
for name in scitt-cose pyscitt model onnx objects webhooks iso20022 croissant; do
    wanted=$(cat "infra/interop/$name.txt")
    [ "$(cat "$base/$name/made-of" 2>/dev/null || :)" = "$wanted" ] && continue
    rm -rf "${base:?}/$name"
    "$python" -m venv "$base/$name" >"$base/$name.log" 2>&1 || not_run "no virtual environment can be made, see $base/$name.log"
    "$base/$name/bin/python" -m pip install --quiet --no-deps --require-hashes --only-binary :all: \
        --requirement "infra/interop/$name.txt" >>"$base/$name.log" 2>&1 ||
        not_run "packages of $name cannot be fetched, see $base/$name.log"
    printf '%s\n' "$wanted" >"$base/$name/made-of"
done

# The verifier of webhooks in JavaScript; a machine without Node says so and goes on without.
if ! cmp -s infra/interop/webhooks/package-lock.json "$base/webhooks-js/made-of"; then
    rm -rf "${base:?}/webhooks-js"
    mkdir -p "$base/webhooks-js"
    cp infra/interop/webhooks/package.json infra/interop/webhooks/package-lock.json "$base/webhooks-js/"
    if npm ci --prefix "$base/webhooks-js" --no-audit --no-fund --ignore-scripts >"$base/webhooks-js.log" 2>&1; then
        cp infra/interop/webhooks/package-lock.json "$base/webhooks-js/made-of"
    else
        echo "NOT RUN webhook verifier in JavaScript: npm or its packages are not to be had, see $base/webhooks-js.log"
    fi
fi

# Files that the onnx package writes, for the importer's test in ccr-runtime/models.
if [ ! -e "$base/onnx/fixtures/good-cnn.onnx" ] || [ infra/interop/onnx_files.py -nt "$base/onnx/fixtures/good-cnn.onnx" ]; then
    "$base/onnx/bin/python" infra/interop/onnx_files.py "$base/onnx/fixtures" >>"$base/onnx.log" 2>&1 ||
        not_run "the onnx package writes no files, see $base/onnx.log"
fi

if [ "${1:-}" = azurite ] && [ ! -d "$base/azurite/node_modules/azurite" ]; then
    npm install --prefix "$base/azurite" --no-audit --no-fund --ignore-scripts azurite@3.37.0 >"$base/azurite.log" 2>&1 ||
        not_run "azurite cannot be fetched, see $base/azurite.log"
fi
