#!/usr/bin/env python3
"""Kwaya beside PyTorch: the same shapes, batch and threads, by turns, so that a
machine that slows down slows all. Every run is a fresh process.

    benches/peers/compare.py                           everything; prints the table
    benches/peers/compare.py --sizes small --engines kwaya,compiled --runs 3
    benches/peers/compare.py --table                   the table of what is there

Makes a virtual environment outside the repository. Each run is one line of
target/peers.jsonl; runs that are there, of the same versions, are not made
again, so it can be stopped and started at any time. Needs Rust, Python 3.9
with venv, a C++ compiler for torch.compile, and the network once.
"""

import argparse
import hashlib
import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
REQUIREMENTS = (HERE / "requirements.txt").read_text()
# Weights and shape of the batch, for the table; the sizes are in step_speed.rs and pytorch_step.py.
SIZES = {"small": (2_557_632, 16, 256), "large": (8_335_008, 8, 256), "smollm": (134_515_008, 1, 512)}
ENGINES = {
    "kwaya": "Kwaya f32",
    "eager": "PyTorch f32, eager",
    "eager-tuned": "PyTorch f32, eager, tuned",
    "compiled": "PyTorch f32, compiled",
    "compiled-tuned": "PyTorch f32, compiled, tuned",
    "kwaya-bf16": "Kwaya bf16",
    "eager-bf16": "PyTorch bf16, eager",
    "eager-bf16-tuned": "PyTorch bf16, eager, tuned",
    "compiled-bf16": "PyTorch bf16, compiled",
    "compiled-bf16-tuned": "PyTorch bf16, compiled, tuned",
}
# Lets glibc keep what PyTorch frees, instead of asking the system for it in each step.
TUNED = {"MALLOC_MMAP_THRESHOLD_": str(4 << 30), "MALLOC_TRIM_THRESHOLD_": str(8 << 30)}
PEAK = "machine"


def main():
    arguments = parse()
    results = Results(arguments.results)
    bench = Bench(arguments)
    if not arguments.table:
        bench.prepare()
        bench.all(results)
    print(table(results, bench))


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = lambda all_names: lambda text: [one_of(name, all_names) for name in text.split(",")]
    parser.add_argument("--sizes", type=names(SIZES), default=list(SIZES), help=",".join(SIZES))
    parser.add_argument("--engines", type=names(ENGINES), default=list(ENGINES), help=",".join(ENGINES))
    parser.add_argument("--runs", type=int, default=5, help="runs of each (5)")
    parser.add_argument("--steps", type=int, default=5, help="timed steps of a run (5)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads (all)")
    parser.add_argument("--results", type=Path, default=TARGET / "peers.jsonl", help="target/peers.jsonl")
    parser.add_argument("--venv", type=Path, default=Path.home() / ".cache/kwaya-peers", help="~/.cache/kwaya-peers")
    parser.add_argument("--under", type=shlex.split, default=[], help="a command to run each run under: 'taskset -c 0,1'")
    parser.add_argument("--limit", type=int, default=1800, help="seconds that a run may take (1800)")
    parser.add_argument("--table", action="store_true", help="only print the table")
    return parser.parse_args()


def one_of(name, names):
    if name not in names:
        raise argparse.ArgumentTypeError(f"{name}: there is {', '.join(names)}")
    return name


class Results:
    """The runs so far, one line of JSON each."""

    def __init__(self, path):
        self.path = path
        self.lines = []
        if path.exists():
            # A run that was killed while it wrote leaves half a line.
            for line in path.read_text().splitlines():
                try:
                    self.lines.append(json.loads(line))
                except ValueError:
                    print(f"{path}: a line that is not whole is left out", file=sys.stderr)

    def add(self, line):
        self.lines.append(line)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Half a line, if there is one, stays a line of its own.
        whole = not self.path.exists() or self.path.read_bytes()[-1:] in (b"", b"\n")
        with self.path.open("a") as file:
            file.write(("" if whole else "\n") + json.dumps(line) + "\n")

    def find(self, **wanted):
        return [line for line in self.lines if all(line.get(key) == value for key, value in wanted.items())]


class Bench:
    """How an engine is run."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.python = arguments.venv / "bin/python"
        self.environment = environment(arguments)
        self.step_speed = TARGET / "release/examples/step_speed"
        self.kwaya = TARGET / "release/kwaya"

    def prepare(self):
        for what in (["kwaya-train", "--example", "step_speed"], ["kwaya"]):
            subprocess.run(["cargo", "build", "--release", "--locked", "-p", *what], cwd=ROOT, check=True)
        stamp = self.arguments.venv / "requirements.txt"
        pytorch = any(not engine.startswith("kwaya") for engine in self.arguments.engines)
        if pytorch and not (stamp.exists() and stamp.read_text() == REQUIREMENTS):
            if not self.python.exists():
                subprocess.run([sys.executable, "-m", "venv", self.arguments.venv], check=True)
            install = ["-m", "pip", "install", "--quiet", "-r", HERE / "requirements.txt"]
            subprocess.run([self.python, *install], check=True)
            stamp.write_text(REQUIREMENTS)

    def build(self, engine):
        """What a run's line is valid for: another program makes other runs."""
        program = self.kwaya if engine == PEAK else self.step_speed
        if engine != PEAK and not engine.startswith("kwaya"):
            scripts = [HERE / "pytorch_step.py", HERE / "plain_llama.py"]
            content = REQUIREMENTS.encode() + b"".join(script.read_bytes() for script in scripts)
        else:
            content = program.read_bytes() if program.exists() else b""
        return hashlib.sha256(content).hexdigest()[:12]

    def command(self, engine, size):
        steps, threads = str(self.arguments.steps), str(self.arguments.threads)
        if engine == PEAK:
            return [self.kwaya, "machine", "--json", "--threads", threads]
        if engine.startswith("kwaya"):
            return [self.step_speed, size, steps, threads, *(["bf16"] if engine == "kwaya-bf16" else [])]
        return [self.python, HERE / "pytorch_step.py", size, engine, steps, threads]

    def all(self, results):
        threads = self.arguments.threads
        for size in self.arguments.sizes:
            failed = set()
            for run in range(self.arguments.runs + 1):
                for engine in [PEAK, *self.arguments.engines]:
                    # Run 0 fills the compiler's cache and is in no table.
                    if (run == 0 and not engine.startswith("compiled")) or engine in failed:
                        continue
                    key = {"engine": engine, "size": size, "threads": threads, "run": run, "build": self.build(engine)}
                    if not results.find(**key):
                        line = self.once(self.command(engine, size), key)
                        results.add(line) if line else failed.add(engine)

    def once(self, command, key):
        began = time.time()
        command = [*self.arguments.under, *map(str, command)]
        try:
            more = TUNED if key["engine"].endswith("-tuned") else {}
            done = subprocess.run(command, env={**self.environment, **more}, capture_output=True, text=True, cwd=ROOT,
                                  timeout=self.arguments.limit)
            # Notes of the libraries may stand before the figures.
            line = json.loads(done.stdout[done.stdout.index("{"):]) if done.returncode == 0 else None
            problem = (done.stderr.strip().splitlines() or ["no message"])[-1]
        except subprocess.TimeoutExpired:
            line, problem = None, f"longer than {self.arguments.limit} s"
        except ValueError:
            line, problem = None, "no figures"
        told = f"{key['size']} {key['engine']} {key['run']}: "
        if line is None:
            print(f"{told}failed, {problem}", file=sys.stderr)
            return None
        speed = line.get("tokens_per_second")
        print(told + (f"{speed} tokens/s" if speed else f"{line['f32']['peak'] / 1e9:.0f} GFLOPS"), file=sys.stderr)
        return {**line, **key, "at": round(began), "load": round(os.getloadavg()[0], 1)}


def environment(arguments):
    """Without what would hold an engine back; compiled code is kept."""
    holds = ("BLAS", "MKL", "DNNL", "ATEN", "KWAYA", "OMP_")
    kept = {name: value for name, value in os.environ.items() if not any(hold in name for hold in holds)}
    cache = {"TORCHINDUCTOR_CACHE_DIR": str(arguments.venv / "compiled"), "PYTHONDONTWRITEBYTECODE": "1"}
    return {**kept, **cache, "OMP_NUM_THREADS": str(arguments.threads)}


def table(results, bench):
    threads = bench.arguments.threads
    rows = ["| shape | engine | tokens/s | Kwaya is | memory, MiB | of the peak |", "| --- | --- | --- | --- | --- | --- |"]
    machine = results.find(engine=PEAK, threads=threads)
    # What else the machine does can only slow one down.
    peak = lambda precision: max(line[precision]["peak"] for line in machine) if machine else 0
    for size, (weights, count, length) in SIZES.items():
        for engine, name in ENGINES.items():
            runs = measured(results, bench, engine, size)
            if not runs:
                continue
            speeds = [line["tokens_per_second"] for line in runs]
            speed = statistics.median(speeds)
            memory = statistics.median(line["peak_mib"] for line in runs)
            bf16 = "bf16" in engine
            own = measured(results, bench, "kwaya-bf16" if bf16 else "kwaya", size)
            ratio = statistics.median(line["tokens_per_second"] for line in own) / speed if own else 0
            limit = peak("bf16" if bf16 else "f32")
            rows.append(
                f"| {weights / 1e6:.1f} M weights, {count} × {length} tokens | {name} "
                f"| {speed:,.0f} ({min(speeds):,} to {max(speeds):,}) "
                f"| {f'{ratio:.2f} ×' if ratio else '–'} | {memory:,.0f} "
                f"| {f'{100 * 6 * weights * speed / limit:.0f} %' if limit else '–'} |"
            )
    runs = sorted({len(measured(results, bench, engine, size)) for engine in ENGINES for size in SIZES} - {0})
    notes = [f"{threads} threads, medians of {' or '.join(map(str, runs))} runs, in brackets the slowest and the fastest."]
    if machine:
        notes.append(f"Peaks measured: {peak('f32') / 1e9:.0f} GFLOPS f32, {peak('bf16') / 1e9:.0f} bf16.")
    libraries = [line["libraries_mib"] for line in results.lines if "libraries_mib" in line]
    if libraries:
        notes.append(f"Of PyTorch's memory {statistics.median(libraries):,.0f} MiB are its libraries, before a model.")
        notes.append("Tuned: a Llama of plain torch calls, and memory that glibc keeps for the next step.")
    # A run's own threads load the machine; more than one beside them is other work.
    shown = [line for engine in ENGINES for size in SIZES for line in measured(results, bench, engine, size)]
    disturbed = sum(line["load"] > threads + 1 for line in shown)
    if disturbed:
        notes.append(f"{disturbed} runs were made while the machine did other work: not to be relied on.")
    return "\n".join([*rows, "", *notes])


def measured(results, bench, engine, size):
    found = results.find(engine=engine, size=size, threads=bench.arguments.threads, build=bench.build(engine))
    return [line for line in found if line["run"] > 0]


if __name__ == "__main__":
    main()
