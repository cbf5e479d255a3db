"""The same training step as crates/kwaya-train/examples/step_speed.rs in PyTorch
eager f32: a Llama of plain torch calls, each the fastest that torch has for it
(scaled_dot_product_attention, rms_norm, fused AdamW).

    python benches/pytorch_step.py small|large|smollm STEPS THREADS [--compile]

Prints one line of JSON: the median step after a warm-up, and the peak memory.
"""

import json
import resource
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

# Width, layers, heads, key and value heads, feed-forward, vocabulary, rows, tokens of a row.
SIZES = {
    "small": (192, 4, 6, 6, 512, 4096, 16, 256),
    "large": (288, 6, 6, 6, 768, 8192, 8, 256),
    "smollm": (576, 30, 9, 3, 1536, 49152, 1, 512),
}


class Layer(nn.Module):
    def __init__(self, hidden, heads, kv_heads, intermediate):
        super().__init__()
        self.size = hidden // heads
        self.norm1, self.norm2 = (nn.Parameter(torch.ones(hidden)) for _ in range(2))
        self.q, self.o = (nn.Linear(hidden, hidden, bias=False) for _ in range(2))
        self.k, self.v = (nn.Linear(hidden, kv_heads * self.size, bias=False) for _ in range(2))
        self.gate, self.up = (nn.Linear(hidden, intermediate, bias=False) for _ in range(2))
        self.down = nn.Linear(intermediate, hidden, bias=False)

    def forward(self, x, cos, sin):
        batch, length, hidden = x.shape
        n = F.rms_norm(x, (hidden,), self.norm1, 1e-5)
        q, k, v = (w(n).view(batch, length, -1, self.size).transpose(1, 2) for w in (self.q, self.k, self.v))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=q.shape[1] != k.shape[1])
        x = x + self.o(attended.transpose(1, 2).reshape(batch, length, hidden))
        n = F.rms_norm(x, (hidden,), self.norm2, 1e-5)
        return x + self.down(F.silu(self.gate(n)) * self.up(n))


def rotate(x, cos, sin):
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin


class Llama(nn.Module):
    def __init__(self, hidden, layers, heads, kv_heads, intermediate, vocabulary, length):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.layers = nn.ModuleList(Layer(hidden, heads, kv_heads, intermediate) for _ in range(layers))
        self.norm = nn.Parameter(torch.ones(hidden))
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)
        size = hidden // heads
        angles = torch.outer(torch.arange(length), 10000.0 ** (-torch.arange(0, size, 2) / size)).repeat(1, 2)
        self.cos, self.sin = angles.cos(), angles.sin()

    def forward(self, tokens, targets):
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin)
        logits = F.linear(F.rms_norm(x, (x.shape[-1],), self.norm, 1e-5), self.embedding.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def main():
    size, steps, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    *shape, vocabulary, rows, length = SIZES[size]
    model = Llama(*shape, vocabulary, length)
    parameters = list(model.parameters())
    optimiser = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    run = torch.compile(model) if "--compile" in sys.argv else model
    stream = torch.randint(0, vocabulary, (rows * length + 1,))
    tokens, targets = stream[:-1].view(rows, length), stream[1:].view(rows, length)
    times = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        loss = run(tokens, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times[1:])
    print(json.dumps({
        "engine": "pytorch compiled" if "--compile" in sys.argv else "pytorch eager", "size": size, "threads": threads,
        "tokens_per_second": round(rows * length / seconds), "ms_per_step": round(1e3 * seconds, 1),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10, "loss": round(loss.item(), 4),
    }))


main()
