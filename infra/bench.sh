#!/bin/sh
# Measures one area.
#
#   sh infra/bench.sh                 lists the areas
#   sh infra/bench.sh AREA [--json]   measures one; --json prints one JSON document as the last line of stdout
set -eu
cd "$(dirname "$0")/.."

areas() {
    cat <<'AREAS'
areas:
  walk              seconds of every step of the main job, services and training included (one run of the demo)
  contract-service  appends, signatures, reads, audit, restart after kill -9 and open connections of the contract service, beside
                    siglog and PostgreSQL; further arguments go to the bench program: --seconds N, --only append,signature, …
  attestation       appraisal of Azure evidence, reserve and release at a key service, opening of a dataset of 10 GB beside
                    `openssl speed`; --only stream,appraisal,opening,release, --stream BYTES, --runs N
  webhooks          deliveries to a receiver on this machine: how many a second, how soon, and a good receiver beside a hundred that
                    hang; --only fanout,slow, --seconds N
  training          private and plain steps of the trainer beside Opacus on the same torch, which is fetched once into
                    .build/opacus; and one COVID run from attesting to sealing, with the share of each part;
                    --only mlp-256,lstm-64,covid-run,…, --steps N, --threads 2,1, --untuned,
                    --device cuda (both sides on a card)
  quality           figures of models that were trained with privacy, beside Opacus at the same ε: COVID over ten fixed
                    splits, credit-schema trees, MNIST-schema digits; --only covid,credit,mnist, --splits N, --draws N
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
contract-service)
    sh infra/bootstrap.sh --no-libtorch
    . infra/env.sh
    cargo build --quiet --release -p bench -p contract-service -p depa --bins >&2
    # The peer comes from the Rust registry, once, and is kept; without it its column stays empty.
    siglog=.build/siglog/bin/siglog
    [ -x $siglog ] || cargo install --quiet siglog --version 0.1.0 --locked --root .build/siglog >&2 ||
        echo "bench: siglog could not be built; its column stays empty" >&2
    BENCH_SIGLOG=$PWD/$siglog "${CARGO_TARGET_DIR:-target}/release/bench" "$@"
    ;;
attestation)
    sh infra/bootstrap.sh --no-libtorch
    . infra/env.sh
    cargo build --quiet --release -p bench >&2
    "${CARGO_TARGET_DIR:-target}/release/bench" --area attestation "$@"
    ;;
webhooks)
    sh infra/bootstrap.sh --no-libtorch
    . infra/env.sh
    cargo build --quiet --release -p bench -p contract-service --bins >&2
    "${CARGO_TARGET_DIR:-target}/release/bench" --area webhooks "$@"
    ;;
training)
    sh infra/bench/opacus.sh || echo "bench: Opacus's columns stay empty" >&2
    case " $* " in
    *' --device cuda '* | *' --device=cuda '*)
        # The libtorch of Opacus's own torch knows cards; built beside, so that nothing else is built anew.
        export LIBTORCH="${LIBTORCH:-$PWD/.build/opacus/lib/python3.11/site-packages/torch}"
        export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/cuda"
        ;;
    esac
    sh infra/bootstrap.sh
    . infra/env.sh
    # The whole run takes every program, optimised as the trainer is; other rows need the trainer alone.
    case " $* " in
    *' --device cuda '* | *' --device=cuda '*) programs='-p ccr-trainer --bin trainer-bench' ;;
    *covid-run*) programs='--workspace --bins' ;;
    *' --only '* | *' --only='*) programs='-p ccr-trainer --bin trainer-bench' ;;
    *) programs='--workspace --bins' ;;
    esac
    # shellcheck disable=SC2086
    cargo build --quiet --release $programs >&2
    python3 -B infra/bench/opacus/measure.py "${CARGO_TARGET_DIR:-target}/release/trainer-bench" "$@"
    ;;
quality)
    sh infra/bootstrap.sh
    . infra/env.sh
    # The same programs as of `training`: packages chosen by name would have their libraries built anew, with other features.
    cargo build --quiet --release --workspace --bins >&2
    sh infra/bench/opacus.sh || echo "bench: Opacus's columns stay empty" >&2
    python3 -B infra/bench/quality/measure.py "${CARGO_TARGET_DIR:-target}/release/depa" "$@"
    ;;
'') areas ;;
*)
    echo "bench: there is no area $area" >&2
    areas >&2
    exit 2
    ;;
esac
