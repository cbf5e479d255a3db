"""The training step of crates/kwaya-train/examples/step_speed.rs in PyTorch:
LlamaForCausalLM of transformers with sdpa attention, fused AdamW, clipping.

    python benches/peers/pytorch_step.py SIZE MODE STEPS THREADS

SIZE is one of `SIZES`, MODE eager | compiled, with -bf16 for autocast, with
-tuned for plain_llama.py. Prints one line of JSON: the median step after two to
warm up, the first of which compiles, and the most memory that the process held.
"""

import contextlib
import json
import resource
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from plain_llama import Llama

# Width, layers, heads, key and value heads, feed-forward, vocabulary, rows, tokens of a row.
SIZES = {
    "small": (192, 4, 6, 6, 512, 4096, 16, 256),
    "large": (288, 6, 6, 6, 768, 8192, 8, 256),
    "smollm": (576, 30, 9, 3, 1536, 49152, 1, 512),
}
WARM_UP = 2


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


LIBRARIES_MIB = peak_mib()


def llama(hidden, layers, heads, kv_heads, intermediate, vocabulary, length):
    config = LlamaConfig(
        hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv_heads,
        intermediate_size=intermediate, vocab_size=vocabulary, max_position_embeddings=length,
        rms_norm_eps=1e-5, tie_word_embeddings=True, use_cache=False, attn_implementation="sdpa",
    )
    return LlamaForCausalLM(config).float().train()


def main():
    size, mode, steps, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    *shape, vocabulary, rows, length = SIZES[size]
    tuned, bf16 = "-tuned" in mode, "-bf16" in mode
    model = (Llama if tuned else llama)(*shape, vocabulary, length)
    parameters = list(model.parameters())
    optimiser = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)

    def loss_of(tokens, targets):
        if tuned:
            return model(tokens, targets)
        # The model's own `labels` path takes the same time.
        logits = model(input_ids=tokens).logits
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    run = torch.compile(loss_of) if mode.startswith("compiled") else loss_of
    stream = torch.randint(0, vocabulary, (rows * length + 1,))
    tokens, targets = stream[:-1].view(rows, length), stream[1:].view(rows, length)
    times = []
    for _ in range(WARM_UP + steps):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16) if bf16 else contextlib.nullcontext():
            loss = run(tokens, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times[WARM_UP:])
    print(json.dumps({
        "engine": f"pytorch {mode}", "size": size, "threads": threads,
        "tokens_per_second": round(rows * length / seconds), "ms_per_step": round(1e3 * seconds, 1),
        "peak_mib": peak_mib(), "libraries_mib": LIBRARIES_MIB, "loss": round(loss.item(), 4),
        "parameters": sum(p.numel() for p in parameters), "first_ms": round(1e3 * times[0]),
    }))


main()
