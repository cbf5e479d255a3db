#!/bin/sh
# Training speed of Kwaya and PyTorch f32, eager and compiled, by turns, so
# that a machine that slows down slows all. Every run is a fresh process; take
# the median.
#
#     PYTHON=/path/to/python benches/training.sh [RUNS] [STEPS] [THREADS] [SIZE...]
set -eu
cd "$(dirname "$0")/.."
runs=${1:-5} steps=${2:-6} threads=${3:-2}
[ $# -gt 3 ] && shift 3 || set -- small large smollm
cargo build --quiet --release -p kwaya-train --example step_speed
for size in "$@"; do
    for _ in $(seq "$runs"); do
        target/release/examples/step_speed "$size" "$steps" "$threads"
        "${PYTHON:-python3}" benches/pytorch_step.py "$size" "$steps" "$threads"
        "${PYTHON:-python3}" benches/pytorch_step.py "$size" "$steps" "$threads" --compile
    done
done
