#!/usr/bin/env python3
"""Whether Kwaya and llama.cpp write the same: the likeliest 40 tokens after 20
prompts, from the same GGUF file. Tells where they part, and how far apart the
two likeliest tokens are there.

    benches/peers/same_answers.py MODEL.gguf...

Needs llama-cpp-python 0.3.36 in the Python that runs it, as answers.py says.
"""

import json
import subprocess
import sys
from pathlib import Path

import llama_cpp
import numpy

ROOT = Path(__file__).resolve().parent.parent.parent
TOKENS = 40
PROMPTS = [
    "The capital of France is",
    "Once upon a time, there was a little",
    "Water boils at",
    "def fibonacci(n):",
    "The three primary colours are",
    "In 1969, humans first",
    "My favourite recipe for bread",
    "A good farmer knows that maize",
    "Explain photosynthesis in simple words:",
    "1, 2, 3, 4,",
    "<|im_start|>user\nWhat is gravity?<|im_end|>\n<|im_start|>assistant\n",
    "Dear Sir or Madam,",
    "The quick brown fox",
    "To be or not to be",
    "Kiswahili ni lugha",
    "Question: What is 12 times 12?\nAnswer:",
    "The mitochondria is",
    "import numpy as np\n",
    "The best way to learn a language",
    "Yesterday I went to the market and bought",
]


def main():
    for path in sys.argv[1:]:
        program = ["cargo", "run", "--release", "-q", "-p", "kwaya-recipe", "--example", "greedy", "--", path, str(TOKENS)]
        lines = "".join(json.dumps(prompt) + "\n" for prompt in PROMPTS)
        ours = subprocess.run(program, cwd=ROOT, input=lines, check=True, stdout=subprocess.PIPE, text=True).stdout
        model = llama_cpp.Llama(path, n_ctx=512, n_threads=2, verbose=False)
        same = sum(compare(model, prompt, json.loads(line)) for prompt, line in zip(PROMPTS, ours.splitlines(), strict=True))
        print(f"{Path(path).name}: the same {TOKENS} tokens for {same} of {len(PROMPTS)} prompts")


def compare(model, prompt, ours):
    tokens = model.tokenize(prompt.encode(), add_bos=True, special=False)
    assert tokens == ours["prompt"], prompt
    model.reset()
    for place in range(TOKENS):
        model.eval(tokens)
        logits = numpy.ctypeslib.as_array(llama_cpp.llama_get_logits(model.ctx), shape=(model.n_vocab(),))
        first, second = (int(token) for token in numpy.argsort(-logits)[:2])
        if first != ours["greedy"][place]:
            gaps = ours["top"][place][0][1] - ours["top"][place][1][1], logits[first] - logits[second]
            print(f"  {prompt!r}: part at token {place}, the two likeliest are {gaps[0]:.4f} and {gaps[1]:.4f} apart")
            return False
        tokens = [first]
    return True


main()
