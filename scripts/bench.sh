#!/bin/bash
# Builds release programs and measures them beside Notary's, into docs/bench.
# Usage: bench.sh [OPTIONS of countersign-bench]
set -euo pipefail
cd "$(dirname "$0")/.."

# All of them in one build, so that the bare acceptor has the OpenSSL of the programs.
# shellcheck disable=SC2046 # a list of words
cargo build --release --locked --package countersign-server --package countersign-signer --package countersign --package bench \
    $(scripts/openssl-features.sh)
out=(--out docs/bench)
# What is measured by a command of its own takes its options after its name.
what=()
case ${1:-} in
    gate|growth|pages) what=("$1"); shift ;;
esac
for argument in "$@"; do
    case $argument in
        # A look is not for publishing.
        --quick|--out|--out=*) out=() ;;
    esac
done
exec "${CARGO_TARGET_DIR:-target}/release/countersign-bench" "${what[@]}" "${out[@]}" "$@"
