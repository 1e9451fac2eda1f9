#!/bin/sh
# The gate: sets up what is missing and passes every test.
#
#   sh infra/test.sh          the gate: form, lints, every test but the long ones
#   sh infra/test.sh full     the long ones too
#   sh infra/test.sh NAME     the tests of one package
#   sh infra/test.sh portal   the portal: its build, its unit tests, its scenarios in a real browser
#
# A check that cannot run on this machine says NOT RUN; those are listed at the end and never count as passed.
set -eu
cd "$(dirname "$0")/.."
what=${1:-gate}
sh infra/bootstrap.sh
case $what in
# Without the browser the rest is tested all the same; its scenarios say NOT RUN themselves.
gate | full | portal) sh infra/bootstrap.sh --browser || echo "test: no Chromium could be installed" >&2 ;;
esac
. infra/env.sh

mkdir -p .build

# A first build of everything fills 8 GB; a disk that fills up under way gives errors of the compiler, not of the cause.
target=${CARGO_TARGET_DIR:-target}
if [ ! -d "$target/debug/deps" ]; then
    mkdir -p "$target"
    free_kib=$(df -Pk "$target" | awk 'NR == 2 { print $4 }')
    if [ "$free_kib" -lt 10485760 ]; then
        echo "test: $((free_kib / 1048576)) GiB are free where $target lies; building everything needs 10 GiB." \
            "Free some, or name another folder in CARGO_TARGET_DIR" >&2
        exit 1
    fi
fi
log=$(mktemp .build/test.XXXXXX)
began=$(date +%s)
meanwhile=
# A process with all that it started.
ends() {
    for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do ends "$child"; done
    kill "$1" 2>/dev/null || :
}
trap '[ -z "$meanwhile" ] || ends "$meanwhile"; rm -f "$log" "$log".*' EXIT
trap 'exit 130' INT TERM
bad=0

# With minutes since the beginning: a gate that grows slow shows where.
say() { printf 'test: [%d min] %s\n' $((($(date +%s) - began) / 60)) "$*"; }
not_run() { printf 'NOT RUN %s\n' "$*" | tee -a "$log"; }

# Runs a check that is no test of cargo; it counts as one.
check() {
    name=$1
    shift
    say "$name"
    if "$@"; then
        echo "test result: ok. 1 passed; 0 failed; $name" >>"$log"
    else
        echo "test result: FAILED. 0 passed; 1 failed; $name" >>"$log"
        echo "failed: $name" >>"$log"
    fi
}

# Runs cargo's tests; the pipe's own status is tee's, so cargo's is kept in a file.
tests() {
    status=$log.status
    { cargo test --no-fail-fast "$@" 2>&1 && echo 0 >"$status" || echo 1 >"$status"; } | tee -a "$log"
    [ "$(cat "$status")" = 0 ] || bad=1
    rm -f "$status"
}

# The service embeds the portal; without Node it builds all the same, and shows a plain page in its place.
portal=no
case $what in
gate | full | portal | contract-service | house-tests)
    say "building the portal"
    code=0
    sh infra/portal.sh || code=$?
    case $code in
    0) portal=yes ;;
    3) not_run "portal: it could not be built here (Node or the npm registry is missing)" ;;
    *) check "portal: build" false ;;
    esac
    # The Node that was fetched for the portal serves other people's implementations too.
    [ ! -x .build/node/bin/npm ] || PATH="$PWD/.build/node/bin:$PATH"
    ;;
esac

# Other people's implementations check ours; without Python or its packages their tests say NOT RUN. Fetched while cargo builds.
environments=
case $what in
gate | full | contract-service | payment-adapter)
    say "environments for interoperability, meanwhile"
    sh infra/interop.sh >"$log.interop" 2>&1 &
    environments=$!
    ;;
esac

# Clippy's driver is the compiler with lints, so one compilation gives both; `cargo clippy` beside the build would check
# everything, libraries of others too, a second time.
lints=no
case $what in
gate | full)
    if clippy-driver --version >/dev/null 2>&1; then
        lints=yes
        export RUSTC_WORKSPACE_WRAPPER=clippy-driver
    fi
    ;;
esac

# The production package first, in the same folder: what it shares with the rest is compiled once. Its binaries are copied
# away; the next build puts its own in their place.
case $what in
gate | full | house-tests)
    say "building the production package"
    sh infra/production.sh
    ;;
esac

# One set of features for everything that follows: with another one cargo compiles half of the house again. `azure` is off in
# every package but the production one; its tests need it.
features="--features kms-adapter/azure"

# Tests start the binaries as processes.
say "building the binaries"
# shellcheck disable=SC2086
cargo build --workspace --bins $features
if [ -n "$environments" ]; then
    wait "$environments" || :
    cat "$log.interop" | tee -a "$log"
    rm -f "$log.interop"
fi

# What operators and programmers get. A check of its own says NOT RUN by itself; 3 is its word for it.
beside() {
    name=$1
    shift
    say "$name"
    code=0
    "$@" >"$log.beside" 2>&1 || code=$?
    cat "$log.beside"
    sed -n 's/^\(NOT RUN .*\)/\1/p' "$log.beside" >>"$log"
    case $code in
    0) echo "test result: ok. 1 passed; 0 failed; $name" >>"$log" ;;
    3) ;;
    *)
        echo "test result: FAILED. 0 passed; 1 failed; $name" >>"$log"
        echo "failed: $name" >>"$log"
        ;;
    esac
    rm -f "$log.beside"
}

# What needs the binaries and none of cargo's tests.
others() {
    case $what in
    gate | full | portal)
        if [ $portal = yes ]; then
            check "portal: unit tests" sh infra/portal.sh unit
            status=$log.status
            { sh infra/portal.sh browser 2>&1 && echo 0 >"$status" || echo 1 >"$status"; } | tee -a "$log"
            [ "$(cat "$status")" = 0 ] || echo "failed: portal: scenarios" >>"$log"
            rm -f "$status"
        fi
        ;;
    esac
    case $what in
    gate | full)
        beside "deployment" sh infra/deploy/check.sh
        # Building cargo-deny takes minutes; where it is not there already, the short gate says NOT RUN.
        if [ "$what" = full ]; then
            beside "cargo-deny" sh infra/supply.sh --deny --quick
        fi
        ;;
    esac
    # The interface against its own document, by schemathesis.
    case $what in
    gate | full | contract-service)
        depth=short
        [ "$what" != full ] || depth=full
        beside "schemathesis" sh infra/schemathesis.sh "$depth"
        ;;
    esac
}

case $what in
gate | full)
    if cargo fmt --version >/dev/null 2>&1; then
        check "form (cargo fmt --check)" cargo fmt --all --check
    else
        not_run "form: rustfmt is not installed"
    fi
    say "building the tests"
    # shellcheck disable=SC2086
    cargo test --workspace $features --no-run >"$log.build" 2>&1 || bad=1
    grep -E '^(warning|error)|^ +-->' "$log.build" || :
    if [ $bad = 1 ]; then
        cat "$log.build"
    elif [ $lints = yes ]; then
        check "lints (clippy's warnings count as errors)" sh -c '! grep -q "^warning: .* generated [0-9]* warning" "$0"' "$log.build"
    else
        not_run "lints: clippy is not installed"
    fi
    rm -f "$log.build"
    # Before the tests, one of which uses the same environments.
    beside "clients" sh clients/check.sh
    # Half of what cargo's tests do is waiting; the browser works meanwhile. It writes into files of its own.
    say "browser, deployment and interface, meanwhile; what they say comes after the tests"
    (
        # Behind the tests where both want the processor: what waits for a time should not wait for a page.
        renice -n 5 -p "$(exec sh -c 'echo $PPID')" >/dev/null 2>&1 || :
        log=$log.others && : >"$log" && others
    ) >"$log.others.out" 2>&1 &
    meanwhile=$!
    say "tests"
    # shellcheck disable=SC2086
    if [ "$what" = full ]; then
        tests --workspace $features -- --show-output --include-ignored
    else
        tests --workspace $features -- --show-output
    fi
    ;;
portal) others ;;
*)
    tests --package "$what" -- --show-output
    others
    ;;
esac
if [ -n "$meanwhile" ]; then
    say "the tests are done; waiting for the browser, the deployment and the interface"
    wait "$meanwhile" || bad=1
    meanwhile=
    cat "$log.others.out"
    cat "$log.others" >>"$log"
fi

# --- what came of it -------------------------------------------------------------------------------------------------

missing=$(sed -n 's/^\(NOT RUN .*\)/\1/p' "$log" | sort -u)
if [ -n "$missing" ]; then
    say "could not run on this machine:"
    printf '%s\n' "$missing"
fi
failures=$(sed -n -e 's/^failed: /  /p' -e 's/^test \(.*\) \.\.\. FAILED$/  \1/p' "$log")
if [ -n "$failures" ]; then
    say "failed:"
    printf '%s\n' "$failures"
    bad=1
fi
counts=$(sed -n 's/^test result: .* \([0-9]*\) passed; \([0-9]*\) failed;.*/\1 \2/p' "$log" |
    awk '{ passed += $1; failed += $2 } END { print passed + 0, failed + 0 }')
passed=${counts% *}
failed=${counts#* }
[ "$failed" = 0 ] || bad=1
if [ $bad = 1 ] && [ "$failed" = 0 ]; then
    say "something did not compile or ended early; see above"
    failed=1
fi
echo "$passed passed, $failed failed"
exit $bad
