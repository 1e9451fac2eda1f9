#!/bin/sh
# Builds the production package into target/production: contract-service, kms-adapter, payment-adapter and ccr without the feature
# software-attester, the key service with Azure Key Vault, ccr with the attesters of Azure VMs and bare guests. A build of
# its own, since cargo would otherwise join the feature in from the demo and the tests; what is the same in both is compiled
# once. The four binaries are taken out of cargo's folder at once, where the next build puts others of the same names.
#
#   sh infra/production.sh              as the tests start it (profile dev)
#   sh infra/production.sh --release    as it is shipped
set -eu
cd "$(dirname "$0")/.."
. infra/env.sh

target=${CARGO_TARGET_DIR:-target}
folder=debug
for argument in "$@"; do
    case $argument in
    --release) folder=release ;;
    *)
        echo "unknown argument $argument; known: --release" >&2
        exit 2
        ;;
    esac
done

cargo build "$@" --bins --target-dir "$target" --no-default-features \
    --package contract-service --package kms-adapter --package payment-adapter --package ccr-runtime \
    --features kms-adapter/azure,ccr-runtime/azure-attester,ccr-runtime/snp-guest-attester
mkdir -p "$target/production"
for binary in contract-service kms-adapter payment-adapter ccr; do
    cp "$target/$folder/$binary" "$target/production/$binary.new"
    mv "$target/production/$binary.new" "$target/production/$binary"
done
