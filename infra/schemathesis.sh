#!/bin/sh
# Calls every route of the contract service as its OpenAPI document describes it, thousands of times, and holds the answers
# to the document: no 5xx, no status, header or media type that is not named (schemathesis, from the registry of Python
# packages).
#
#   sh infra/schemathesis.sh          a few examples of each operation
#   sh infra/schemathesis.sh full     many
#
# Ends with 3 and says NOT RUN where Python or the package is not to be had.
set -eu
cd "$(dirname "$0")/.."
. infra/env.sh
wanted=schemathesis==4.32.5
place=.build/schemathesis

not_run() {
    printf 'NOT RUN schemathesis: %s\n' "$*"
    exit 3
}

if [ "$(cat "$place/made-of" 2>/dev/null || :)" != "$wanted" ]; then
    command -v python3 >/dev/null || not_run "Python 3 is not installed"
    rm -rf "$place"
    mkdir -p .build
    python3 -m venv "$place" >.build/schemathesis.log 2>&1 || not_run "no virtual environment can be made, see .build/schemathesis.log"
    "$place/bin/python" -m pip install --quiet --only-binary :all: "$wanted" >>.build/schemathesis.log 2>&1 ||
        not_run "$wanted cannot be fetched, see .build/schemathesis.log"
    printf '%s\n' "$wanted" >"$place/made-of"
fi

case ${1:-short} in
full) SCHEMATHESIS_EXAMPLES=200 ;;
*) SCHEMATHESIS_EXAMPLES=5 ;;
esac
SCHEMATHESIS=$PWD/$place/bin/schemathesis
export SCHEMATHESIS SCHEMATHESIS_EXAMPLES
# With the features of the gate, so that nothing is compiled again for it.
exec cargo test --quiet --workspace --features kms-adapter/azure --test desk -- --ignored --exact \
    schemathesis::no_fault_of_ours_and_no_undocumented_answer
