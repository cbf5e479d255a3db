#!/bin/sh
# How fast the nearest of a million vectors of 8 bits are found: all of them are
# read, so that the speed of the memory is the limit. Random vectors of the widths
# of small models, 100 questions each; checked against a plain search first.
#
#     benches/vectors.sh [COUNT] [QUESTIONS]
set -eu
cd "$(dirname "$0")/.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cargo build --quiet --release -p kwaya-ask --example vectors_speed
for width in 384 576; do
    "${CARGO_TARGET_DIR:-target}/release/examples/vectors_speed" "$place" "${1:-1000000}" $width "${2:-100}"
done
