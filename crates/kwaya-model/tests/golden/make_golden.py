"""Makes the reference that tests/golden.rs compares with: two tiny Llama models
saved by `transformers`, and what PyTorch computes with them.

    python make_golden.py        # torch 2.15, transformers 5.23, safetensors 0.8

For each model a folder: config.json and model.safetensors as `transformers`
writes them, and expected.safetensors with the batch, the logits, the loss (mean
over the targets that count, in nats) and the gradient of every tensor under its
own name.
"""

import pathlib

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

HERE = pathlib.Path(__file__).parent
IGNORED = 4294967295

MODELS = {
    "tied": dict(hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
                 num_key_value_heads=2, tie_word_embeddings=True),
    # A head size that is not hidden size / heads, and one key head for all.
    "untied": dict(hidden_size=24, intermediate_size=56, num_hidden_layers=2, num_attention_heads=3,
                   num_key_value_heads=1, head_dim=10, rope_theta=500.0, rms_norm_eps=1e-6,
                   tie_word_embeddings=False),
}


def make(name, sizes):
    torch.manual_seed(1)
    config = LlamaConfig(vocab_size=97, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, **sizes)
    model = LlamaForCausalLM(config).float()
    with torch.no_grad():
        # Large enough that attention and SwiGLU leave their linear range.
        for parameter in model.parameters():
            parameter.normal_(1.0 if parameter.dim() == 1 else 0.0, 0.3)
    tokens = torch.randint(0, 97, (2, 13))
    targets = torch.randint(0, 97, (2, 13))
    targets[0, 3] = targets[1, 12] = -100
    logits = model(input_ids=tokens).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)
    loss.backward()
    expected = {name: parameter.grad for name, parameter in model.named_parameters()}
    expected |= {
        "tokens": tokens.to(torch.int32),
        "targets": torch.where(targets < 0, IGNORED, targets).to(torch.int64),
        "logits": logits.detach(),
        "loss": loss.detach(),
    }
    model.save_pretrained(HERE / name)
    save_file(expected, HERE / name / "expected.safetensors")


for name, sizes in MODELS.items():
    make(name, sizes)
