#!/bin/sh
# Checks the clients: generated files current, types, tests.
#
#   sh clients/check.sh           everything that needs no service
#   sh clients/check.sh service   the tests against the service that DEPA_REGISTRY, DEPA_TRUST, DEPA_TEST_SRO and
#                                 DEPA_TEST_DATASET name; the house test `clients` starts one and calls this
#
# Ends with 3 and says NOT RUN where Python 3.11, Node or their packages are not to be had.
set -eu
cd "$(dirname "$0")/.."
what=${1:-offline}
place=.build/clients
mkdir -p "$place"

not_run() {
    printf 'NOT RUN clients: %s\n' "$*"
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
wanted=$(cat clients/python/requirements.txt)
if [ "$(cat "$place/python/made-of" 2>/dev/null || :)" != "$wanted" ]; then
    rm -rf "$place/python"
    "$python" -m venv "$place/python" >"$place/python.log" 2>&1 || not_run "no virtual environment, see $place/python.log"
    "$place/python/bin/python" -m pip install --quiet --no-deps --require-hashes --only-binary :all: \
        --requirement clients/python/requirements.txt >>"$place/python.log" 2>&1 || not_run "Python packages, see $place/python.log"
    printf '%s\n' "$wanted" >"$place/python/made-of"
fi
python=$PWD/$place/python/bin/python

# The machine's Node, or the one that was fetched for the portal.
if ! command -v npm >/dev/null && [ -x .build/node/bin/npm ]; then
    PATH="$PWD/.build/node/bin:$PATH"
fi
command -v npm >/dev/null || not_run "Node is not installed; sh infra/portal.sh brings one"
lock=$(sha256sum clients/typescript/package-lock.json | cut -d' ' -f1)
if [ "$(cat clients/typescript/node_modules/.depa-lock 2>/dev/null)" != "$lock" ]; then
    npm ci --prefix clients/typescript --ignore-scripts --no-fund --no-audit --loglevel=error >"$place/npm.log" 2>&1 ||
        not_run "npm packages, see $place/npm.log"
    echo "$lock" >clients/typescript/node_modules/.depa-lock
fi

built() {
    newest=$(ls -t clients/typescript/src/*.ts clients/typescript/tests/*.ts contract-service/openapi.json | head -1)
    [ -e clients/typescript/dist/made ] && [ ! "$newest" -nt clients/typescript/dist/made ]
}
if ! built; then
    npm run --prefix clients/typescript --silent generate >/dev/null
    npm run --prefix clients/typescript --silent build
    touch clients/typescript/dist/made
fi

cd clients/python
PYTHONPATH=src PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH PYTHONDONTWRITEBYTECODE
case $what in
offline)
    "$python" generate.py --check
    "$python" ../../infra/supply/wheels.py
    "$python" -m mypy --cache-dir ../../$place/mypy
    "$python" -m pytest -q -p no:cacheprovider tests/test_offline.py tests/test_served.py
    cd ../typescript
    # The portal's client and this one come from the same document by the same tool.
    for tool in openapi-typescript openapi-fetch typescript canonicalize; do
        ours=$(sed -n "s/.*\"$tool\": \"\(.*\)\".*/\1/p" package.json)
        theirs=$(sed -n "s/.*\"$tool\": \"\(.*\)\".*/\1/p" ../../portal/package.json)
        [ "$ours" = "$theirs" ] || { echo "clients: $tool is $ours here and $theirs in the portal" >&2; exit 1; }
    done
    portal=../../portal/src/api/schema.d.ts
    if [ -s "$portal" ] && [ "$portal" -nt ../../contract-service/openapi.json ]; then
        cmp "$portal" src/schema.d.ts
    fi
    node --test dist/tests/offline.test.js >../../$place/node.log 2>&1 || { cat ../../$place/node.log && exit 1; }
    sed -n 's/^# \(tests\|pass\|fail\) /node \1 /p' ../../$place/node.log
    ;;
service)
    "$python" -m pytest -q -p no:cacheprovider tests/test_service.py
    cd ../typescript
    node --test dist/tests/service.test.js
    ;;
*) echo "clients: unknown argument $what" >&2 && exit 2 ;;
esac
