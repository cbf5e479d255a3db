"""Checks that `transformers` reads a model saved by Kwaya and computes the same.

    cargo build --release -p kwaya-model --example logits
    python integrations/compare_with_transformers.py MODEL_DIR [--tokens N]

Loads MODEL_DIR with AutoModelForCausalLM in f32, runs it on N pseudo-random
tokens, and compares every logit with those of Kwaya's `logits` example. Prints
the worst difference; exits with 1 when it is above the tolerance.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys

import torch
from transformers import AutoModelForCausalLM

PROGRAM = pathlib.Path(__file__).parent.parent / "target/release/examples/logits"
# f32 sums in another order: about 100 units in the last place of the largest.
TOLERANCE = 1e-5


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--program", default=PROGRAM)
    options = parser.parse_args()

    model, loading = AutoModelForCausalLM.from_pretrained(
        options.model, dtype=torch.float32, output_loading_info=True)
    unread = {key: sorted(names) for key, names in loading.items() if names}
    if unread:
        sys.exit(f"transformers did not read the model as it is: {unread}")
    draw = random.Random(1)
    tokens = [draw.randrange(model.config.vocab_size) for _ in range(options.tokens)]
    with torch.no_grad():
        expected = model(input_ids=torch.tensor([tokens])).logits[0]
    output = subprocess.run([options.program, options.model, *map(str, tokens)], capture_output=True, check=True)
    found = torch.tensor(json.loads(output.stdout))
    worst = (found - expected).abs().max().item()
    largest = expected.abs().max().item()
    same = (found.argmax(-1) == expected.argmax(-1)).float().mean().item()
    print(f"{found.numel()} logits, worst difference {worst:.2e}, largest logit {largest:.2f}, "
          f"same likeliest token {100 * same:.0f} %")
    sys.exit(0 if worst <= TOLERANCE * max(largest, 1.0) else 1)


if __name__ == "__main__":
    main()
