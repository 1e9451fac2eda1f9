#!/bin/sh
# Measures one area.
#
#   sh infra/bench.sh                 lists the areas
#   sh infra/bench.sh AREA [--json]   measures one; --json prints one JSON document on stdout
set -eu
cd "$(dirname "$0")/.."

areas() {
    cat <<'AREAS'
areas:
  walk        seconds of every step of the main job, services and training included (one run of the demo)
AREAS
}

area=${1:-}
[ $# = 0 ] || shift
case $area in
walk)
    case ${1:-} in
    --json) sh infra/demo.sh --json | python3 -c 'import json, sys; print(json.dumps({"area": "walk", "seconds": json.load(sys.stdin)["seconds"]}))' ;;
    '') sh infra/demo.sh --json | python3 -c 'import json, sys
for step, seconds in json.load(sys.stdin)["seconds"].items(): print(f"{seconds:8.2f} s  {step}")' ;;
    *) areas >&2 && exit 2 ;;
    esac
    ;;
'') areas ;;
*)
    echo "bench: there is no area $area" >&2
    areas >&2
    exit 2
    ;;
esac
