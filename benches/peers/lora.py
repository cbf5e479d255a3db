#!/usr/bin/env python3
"""Fine-tuning by LoRA: Kwaya beside PEFT and PyTorch, by turns, every run a
fresh process: the shape of SmolLM2-135M, adapters of rank 16 beside all seven
products, 1 x 512 made-up tokens.

    cargo build --release -p kwaya-train --example lora_speed
    python benches/peers/lora.py MODEL [--runs 3] [--steps 4] [--threads 2] [--under 'chrt -f 40']

MODEL is the file or folder that Kwaya freezes; PEFT's model is made here, in
f32, so that no loading counts. Needs the requirements.txt beside this and
peft 0.21. Prints a line of JSON for each run, then the medians.

    python benches/peers/lora.py --one f32|bf16 STEPS THREADS       a run of PEFT
"""

import argparse
import contextlib
import json
import os
import resource
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
RANK, LENGTH, WARM_UP = 16, 512, 2


def peft(precision, steps, threads):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    config = LlamaConfig(
        hidden_size=576, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3, intermediate_size=1536,
        vocab_size=49152, max_position_embeddings=8192, rms_norm_eps=1e-5, tie_word_embeddings=True, use_cache=False,
        attn_implementation="sdpa",
    )
    lora = LoraConfig(r=RANK, lora_alpha=32, target_modules=TARGETS, lora_dropout=0.0, task_type="CAUSAL_LM")
    model = get_peft_model(LlamaForCausalLM(config).float(), lora).train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0.01, fused=True)
    stream = torch.randint(0, config.vocab_size, (LENGTH + 1,))
    tokens, targets = stream[None, :-1], stream[1:]
    times = []
    for _ in range(WARM_UP + steps):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else contextlib.nullcontext():
            logits = model(input_ids=tokens).logits
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times[WARM_UP:])
    print(json.dumps({
        "engine": "peft", "precision": precision, "threads": threads, "tokens_per_second": round(LENGTH / seconds),
        "ms_per_step": round(1e3 * seconds, 1), "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "learned": sum(p.numel() for p in parameters), "loss": round(loss.item(), 4),
    }))


def main():
    if sys.argv[1:2] == ["--one"]:
        return peft(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--under", type=shlex.split, default=[])
    options = parser.parse_args()
    rest = [str(options.steps), str(options.threads)]
    kwaya = [str(TARGET / "release/examples/lora_speed"), options.model, *rest]
    engines = {
        "Kwaya f32": [*kwaya, "f32"],
        "PEFT f32": [sys.executable, __file__, "--one", "f32", *rest],
        "Kwaya bf16": [*kwaya, "bf16"],
        "PEFT bf16": [sys.executable, __file__, "--one", "bf16", *rest],
    }
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    lines = {name: [] for name in engines}
    for _ in range(options.runs):
        for name, command in engines.items():
            load = os.getloadavg()[0]
            done = subprocess.run([*options.under, *command], env=environment, capture_output=True, text=True, check=True)
            line = json.loads(done.stdout[done.stdout.index("{"):])
            lines[name].append(line)
            print(json.dumps({**line, "load_before": round(load, 1)}), flush=True)
    for name, of in lines.items():
        speeds = [line["tokens_per_second"] for line in of]
        memory = statistics.median(line["peak_mib"] for line in of)
        print(f"{name}: {statistics.median(speeds):.0f} tokens/s ({min(speeds)} to {max(speeds)}), {memory:.0f} MiB")


main()
