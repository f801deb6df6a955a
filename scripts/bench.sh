#!/bin/bash
# Builds release programs and measures them beside Notary's, into docs/bench.
# Usage: bench.sh [OPTIONS of countersign-bench]
set -euo pipefail
cd "$(dirname "$0")/.."

# All three in one build, so that the bare acceptor has the OpenSSL of the programs.
# shellcheck disable=SC2046 # a list of words
cargo build --release --locked --package countersign-server --package countersign-signer --package bench \
    $(scripts/openssl-features.sh)
out=(--out docs/bench)
for argument in "$@"; do
    case $argument in
        # A look is not for publishing.
        --quick|--out|--out=*) out=() ;;
    esac
done
exec "${CARGO_TARGET_DIR:-target}/release/countersign-bench" "${out[@]}" "$@"
