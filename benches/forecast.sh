#!/bin/sh
# Is the forecast true? Plans and builds models of three shapes from a folder
# of text, in a folder that goes away, and prints what was foretold, what it
# took, and the ratio: time, peak memory (of the process, seen from outside),
# disk. On two cores each takes a minute or two; nothing else should run.
#
#     benches/forecast.sh FOLDER LANGUAGE [WIDTH/LAYERS/CONTEXT/STEPS...]
set -eu
cd "$(dirname "$0")/.."
cargo build --quiet --release -p kwaya --bin kwaya
cargo build --quiet --release -p kwaya-recipe --example forecast
target=${CARGO_TARGET_DIR:-target}/release
exec "$target/examples/forecast" "$target/kwaya" "$@"
