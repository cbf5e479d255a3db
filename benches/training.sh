#!/bin/sh
# Training speed of Kwaya and PyTorch eager f32, by turns, so that a machine
# that slows down slows both. Every run is a fresh process; take the median.
#
#     PYTHON=/path/to/python benches/training.sh [RUNS] [STEPS] [THREADS]
set -eu
cd "$(dirname "$0")/.."
runs=${1:-5} steps=${2:-6} threads=${3:-2}
cargo build --quiet --release -p kwaya-train --example step_speed
for size in small large; do
    for _ in $(seq "$runs"); do
        target/release/examples/step_speed $size "$steps" "$threads"
        "${PYTHON:-python3}" benches/pytorch_step.py $size "$steps" "$threads"
    done
done
