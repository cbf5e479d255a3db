"""Matrix products by PyTorch (oneDNN or MKL, sums in any order) in the shapes of
crates/kwaya-math/examples/products.rs: the cost of Kwaya's ordered sums is the
difference. Run the two by turns.

    python benches/peers/products.py [THREADS] [ROUNDS]
"""

import sys
import time

import torch

SHAPES = [
    (2048, 2048, 2048),
    (4096, 192, 192),
    (4096, 192, 512),
    (4096, 512, 192),
    (2048, 288, 768),
    (2048, 768, 288),
    (2048, 288, 288),
    (256, 288, 8192),
    (512, 576, 192),
    (512, 576, 576),
    (512, 576, 1536),
    (512, 1536, 576),
    (128, 576, 49152),
]


def fastest(run, rounds):
    run()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def main():
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    torch.set_num_threads(threads)
    for n, inputs, outputs in SHAPES:
        line = f"{n:5} x {inputs:5} x {outputs:5}"
        for kind in (torch.float32, torch.bfloat16):
            x = torch.rand(n, inputs).sub(0.5).to(kind)
            w = torch.rand(outputs, inputs).sub(0.5).to(kind)
            dy = torch.rand(n, outputs).sub(0.5).to(kind)
            line += "   " + {torch.float32: "F32", torch.bfloat16: "Bf16"}[kind]
            for run in (lambda: x @ w.t(), lambda: dy @ w, lambda: dy.t() @ x):
                speed = 2 * n * inputs * outputs / fastest(run, rounds)
                line += f" {speed / 1e9:6.1f}      "
        print(line)


main()
