#!/bin/sh
# Sets up Opacus with torch 2.11.0 in an environment of its own under .build/opacus, from the Python registry, once.
#
#   sh infra/bench/opacus.sh   makes what is missing; ends with 3 and says why where it cannot be had
set -eu
cd "$(dirname "$0")/../.."
base=.build/opacus list=infra/bench/opacus/requirements.txt

missing() {
    printf 'bench: no Opacus: %s\n' "$*" >&2
    exit 3
}

wanted=$(cat "$list")
[ "$(cat "$base/made-of" 2>/dev/null || :)" = "$wanted" ] && exit 0

python=
for candidate in python3.11 python3; do
    if [ "$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = 3.11 ]; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || missing "Python 3.11 is not installed"
printf 'bench: fetching Opacus and torch into %s (some 3 GB, 7 GB on disk)\n' "$base" >&2
rm -rf "${base:?}"
mkdir -p .build
"$python" -m venv "$base" >"$base.log" 2>&1 || missing "no virtual environment can be made, see $base.log"
"$base/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps --require-hashes \
    --only-binary :all: --requirement "$list" >>"$base.log" 2>&1 || missing "its packages cannot be fetched, see $base.log"
printf '%s\n' "$wanted" >"$base/made-of"
