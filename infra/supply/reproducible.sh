#!/bin/sh
# Builds the clean room's binaries (ccr without the software attester, ccr-trainer) twice, from two copies of the commit in two
# folders of different depth, with two target folders, and compares their digests. Two full builds: 40 minutes on 2 cores.
#
#   sh infra/supply/reproducible.sh          both
#   sh infra/supply/reproducible.sh ccr      ccr alone
#
# Folders are named the same in the binaries (--remap-path-prefix): the copy, cargo's registry, the toolchain's sources.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=infra/env.sh
. infra/env.sh
what=${1:-both}
case $what in
both | ccr) ;;
*)
    echo "reproducible: unknown argument $what; known: ccr" >&2
    exit 2
    ;;
esac
# What is compared is one commit, whatever is committed meanwhile; a folder with changes would be judged by something else.
commit=$(git rev-parse HEAD)
[ -z "$(git status --porcelain --untracked-files=no)" ] || echo "reproducible: changes that are not committed are left out" >&2
base=$(mktemp -d "${TMPDIR:-/tmp}/depa-reproducible.XXXXXX")
trap 'rm -rf "$base"' EXIT
home=${CARGO_HOME:-$HOME/.cargo}
libtorch=$(realpath "${LIBTORCH:-.build/libtorch}" 2>/dev/null || echo)

build() {
    mkdir -p "$1"
    git archive "$commit" | tar -x -C "$1"
    (
        cd "$1"
        # Not the gate's wrapper, and nothing else that a shell may have set.
        unset RUSTC_WORKSPACE_WRAPPER CARGO_INCREMENTAL RUSTC_WRAPPER
        rust=$(rustc --print sysroot)
        export SOURCE_DATE_EPOCH=0 CARGO_TARGET_DIR="$1/target"
        # libtorch is one and the same, and where it lies stands in the worker: deb.sh and the Containerfile name its last place.
        [ -z "$libtorch" ] || export LIBTORCH="$libtorch"
        export RUSTFLAGS="--remap-path-prefix=$1=/depa --remap-path-prefix=$home=/cargo --remap-path-prefix=$rust=/rust"
        export CFLAGS="-ffile-prefix-map=$1=/depa -ffile-prefix-map=$home=/cargo" CXXFLAGS="-ffile-prefix-map=$1=/depa -ffile-prefix-map=$home=/cargo"
        cargo build --quiet --release --locked --package ccr-runtime --bin ccr --no-default-features \
            --features azure-attester,snp-guest-attester
        if [ "$what" = both ]; then
            cargo build --quiet --release --locked --package ccr-trainer --bin ccr-trainer
        fi
    )
    names=ccr
    [ "$what" != both ] || names="ccr ccr-trainer"
    for name in $names; do
        cp "$1/target/release/$name" "$base/$2-$name"
        strip --strip-unneeded "$base/$2-$name"
    done
    rm -rf "$1"
}

build "$base/one" 1
build "$base/another/and/deeper" 2
bad=0
for first in "$base"/1-*; do
    name=${first#"$base"/1-}
    a=$(sha256sum <"$first" | cut -d ' ' -f 1) b=$(sha256sum <"$base/2-$name" | cut -d ' ' -f 1)
    if [ "$a" = "$b" ]; then
        echo "reproducible: $name $a"
    else
        echo "reproducible: $name differs: $a and $b; $(cmp -l "$first" "$base/2-$name" | wc -l) bytes, and these words:" >&2
        # A path, a time or an order that found its way in shows itself mostly as a word.
        for side in 1 2; do strings -n 6 "$base/$side-$name" | sort -u >"$base/words-$side"; done
        comm -3 "$base/words-1" "$base/words-2" | head -n 20 >&2
        bad=1
    fi
done
exit $bad
