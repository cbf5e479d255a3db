#!/usr/bin/env python3
"""Kwaya beside llama.cpp: the same GGUF file and threads, by turns, so that a
machine that slows down slows both. Every run is a fresh process.

    benches/peers/answers.py MODEL.gguf... [--runs 5] [--threads 2] [--under 'chrt -f 50']

Needs llama-cpp-python 0.3.36 in the Python that runs it:

    python3 -m venv ~/.cache/kwaya-llama && ~/.cache/kwaya-llama/bin/pip install llama-cpp-python==0.3.36
    ~/.cache/kwaya-llama/bin/python benches/peers/answers.py MODEL.gguf

The figures of llama.cpp are its own (`llama_perf_context`), without what its
Python caller costs. Tokens are made up: 512 of a prompt, then 64 that are
written, each the likeliest.
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PROMPT, WRITTEN = 512, 64


def llama(path, threads):
    import llama_cpp

    start = time.perf_counter()
    model = llama_cpp.Llama(path, n_ctx=1024, n_batch=512, n_threads=threads, n_threads_batch=threads, verbose=False)
    loaded = time.perf_counter() - start
    vocabulary = model.n_vocab()

    def read(tokens):
        # The counters are brought up to date when the work is waited for.
        model.eval(tokens)
        llama_cpp.llama_synchronize(model.ctx)

    read([1] * 8)
    model.reset()
    llama_cpp.llama_perf_context_reset(model.ctx)
    read([(i * 7919 + 11) % vocabulary for i in range(PROMPT)])
    prompt = llama_cpp.llama_perf_context(model.ctx)
    llama_cpp.llama_perf_context_reset(model.ctx)
    for i in range(WRITTEN):
        read([(i * 7919 + 11) % vocabulary])
    writing = llama_cpp.llama_perf_context(model.ctx)
    assert (prompt.n_p_eval, writing.n_eval) == (PROMPT, WRITTEN), (prompt.n_p_eval, writing.n_eval)
    return {
        "load_ms": 1e3 * loaded,
        "prompt_tokens_per_second": 1e3 * PROMPT / prompt.t_p_eval_ms,
        "tokens_per_second": 1e3 * WRITTEN / writing.t_eval_ms,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--under", default="", help="a command to run each run under")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        return print(json.dumps(llama(arguments.models[0], arguments.threads)))

    build = ["cargo", "build", "--release", "-p", "kwaya-model", "--example", "answer_speed", "--message-format=json"]
    built = subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    programs = [json.loads(line).get("executable") for line in built.splitlines()]
    program = [path for path in programs if path and path.endswith("answer_speed")][-1]
    under = shlex.split(arguments.under)
    print("| model | figure | Kwaya | llama.cpp | ratio |")
    print("| --- | --- | --- | --- | --- |")
    for model in arguments.models:
        commands = {
            "kwaya": [program, model, str(arguments.threads), str(PROMPT), str(WRITTEN)],
            "llama": [sys.executable, __file__, model, "--one", "--threads", str(arguments.threads)],
        }
        found = {"kwaya": [], "llama": []}
        for _ in range(arguments.runs):
            for name, command in commands.items():
                run = subprocess.run(under + command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                found[name].append(json.loads(run.stdout.splitlines()[-1]))
        name = Path(model).name
        for key, words in [
            ("prompt_tokens_per_second", f"prompt of {PROMPT}, tokens/s"),
            ("tokens_per_second", "writing, tokens/s"),
            ("load_ms", "from file to ready, ms"),
        ]:
            cells = {who: [run[key] for run in runs] for who, runs in found.items()}
            ours, theirs = (statistics.median(cells[who]) for who in ("kwaya", "llama"))
            ratio = theirs / ours if key == "load_ms" else ours / theirs
            span = {who: f"{min(c):.0f} to {max(c):.0f}" for who, c in cells.items()}
            print(f"| {name} | {words} | {ours:.0f} ({span['kwaya']}) | {theirs:.0f} ({span['llama']}) | {ratio:.2f} × |")
        eight = [run["of_8_tokens_per_second"] / run["tokens_per_second"] for run in found["kwaya"]]
        speed = statistics.median(run["gb_per_second"] for run in found["kwaya"])
        print(f"| {name} | 8 conversations, times the tokens of one | {statistics.median(eight):.2f} | | |")
        print(f"| {name} | weights read in writing, GB/s | {speed:.1f} | | |", flush=True)


main()
