"""Makes the reference for the training loop: a token file, and ten steps on it in
PyTorch with torch.optim.AdamW and clip_grad_norm_, from the weights of
../../../kwaya-model/tests/golden/tied.

    python make_golden.py        # torch 2.15, transformers 5.23, safetensors 0.8

The data are as many rows as a step has, so that a step sees all of them and
their order does not matter. Documents are kept apart by an explicit mask.
"""

import json
import math
import pathlib

import numpy
import torch
from safetensors.numpy import save_file
from transformers import LlamaForCausalLM

HERE = pathlib.Path(__file__).parent
END, VOCABULARY, LENGTH, ROWS, STEPS = 2, 97, 16, 6, 10
SCHEDULE = {
    "seed": 5, "steps": STEPS, "sequence_length": LENGTH, "sequences_per_micro_batch": 2,
    "micro_batches_per_step": 3, "learning_rate": 0.02, "learning_rate_min": 0.002, "warmup_steps": 3,
    "decay": "cosine", "beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8, "weight_decay": 0.1, "clip_norm": 1.0,
    "evaluate_every": 10,
}


def documents():
    random = numpy.random.default_rng(3)
    lengths = [9, 1, 30, 22, 5, 17, 8]  # with end-of-text: 99 tokens, 3 after the last full row
    for length in lengths:
        yield list(random.integers(3, VOCABULARY, length)) + [END]


def rows(stream):
    """(tokens, targets, mask, positions) of each row."""
    for row in range(ROWS):
        window = stream[row * LENGTH:(row + 1) * LENGTH + 1]
        tokens, targets = window[:-1], window[1:]
        document, position, documents, positions = 0, -1, [], []
        for token in tokens:
            if token == END:
                document, position = document + 1, -1
            position += 1
            documents.append(document)
            positions.append(position)
        d = torch.tensor(documents)
        mask = (d[:, None] == d[None, :]) & torch.ones(LENGTH, LENGTH).tril().bool()
        yield torch.tensor(tokens), torch.tensor(targets), mask, torch.tensor(positions)


def learning_rate(step):
    high, low, warmup = SCHEDULE["learning_rate"], SCHEDULE["learning_rate_min"], SCHEDULE["warmup_steps"]
    if step < warmup:
        return high * step / warmup
    return low + (high - low) * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (STEPS - warmup)))


texts = list(documents())
stream = [int(token) for text in texts for token in text]
save_file(
    {
        "tokens": numpy.array(stream, numpy.uint16),
        "document_ends": numpy.cumsum([len(text) for text in texts]).astype(numpy.uint64),
        "document_bytes": numpy.array([4 * len(text) for text in texts], numpy.uint32),
        "document_language": numpy.array([i % 2 for i in range(len(texts))], numpy.uint8),
    },
    HERE / "tokens.safetensors",
    metadata={"vocab_size": str(VOCABULARY), "end_of_text": str(END), "languages": "sw,en"},
)

model = LlamaForCausalLM.from_pretrained(
    HERE / "../../../kwaya-model/tests/golden/tied", dtype=torch.float32, attn_implementation="eager")
matrices = [p for p in model.parameters() if p.dim() > 1]
norms = [p for p in model.parameters() if p.dim() == 1]
optimiser = torch.optim.AdamW(
    [{"params": matrices, "weight_decay": SCHEDULE["weight_decay"]}, {"params": norms, "weight_decay": 0.0}],
    betas=(SCHEDULE["beta1"], SCHEDULE["beta2"]), eps=SCHEDULE["epsilon"])
tokens, targets, mask, positions = (torch.stack(part) for part in zip(*rows([END] + stream)))
mask = torch.where(mask, 0.0, torch.finfo(torch.float32).min)[:, None]
log = []
for step in range(1, STEPS + 1):
    optimiser.zero_grad()
    logits = model(input_ids=tokens, attention_mask=mask, position_ids=positions).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), SCHEDULE["clip_norm"])
    for group in optimiser.param_groups:
        group["lr"] = learning_rate(step)
    optimiser.step()
    log.append({"loss": loss.item(), "gradient_norm": norm.item(), "learning_rate": learning_rate(step)})
weights = {name: [p.double().sum().item(), p.double().abs().sum().item()] for name, p in model.named_parameters()}
reference = {"schedule": SCHEDULE, "log": log, "weights_sum_and_sum_of_absolutes": weights}
(HERE / "expected.json").write_text(json.dumps(reference, indent=1) + "\n")
