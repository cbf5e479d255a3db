"""Makes the reference for fine-tuning: adapters as PEFT saves them, and six steps
of them in PyTorch with torch.optim.AdamW and clip_grad_norm_, beside the frozen
weights of ../../../kwaya-model/tests/golden, on tokens.safetensors.

    python make_lora.py          # torch 2.15, transformers 5.24, peft 0.21

Into lora/: the adapters at the beginning, their gradient in the first step, and
expected.json. The data are as many rows as a step has (make_golden.py). B does not
begin at 0 here, or A would have no gradient. lora_tokens/ and lora_tokens_untied/
are the same where rows of tokens are learned too; these begin beside those of the
base, so that a reader must take them from the file.
"""

import json
import pathlib

import torch
from peft import LoraConfig, get_peft_model
from safetensors.numpy import load_file
from safetensors.torch import save_file
from transformers import LlamaForCausalLM

HERE = pathlib.Path(__file__).parent
BASES = HERE / "../../../kwaya-model/tests/golden"
END, LENGTH, ROWS, STEPS = 2, 16, 6, 6
SCHEDULE = {
    "seed": 5, "steps": STEPS, "sequence_length": LENGTH, "sequences_per_micro_batch": 2,
    "micro_batches_per_step": 3, "learning_rate": 0.01, "learning_rate_min": 0.001, "warmup_steps": 2,
    "decay": "linear", "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0.1, "clip_norm": 0.3,
    "evaluate_every": 6,
}


def learning_rate(step):
    high, low, warmup = SCHEDULE["learning_rate"], SCHEDULE["learning_rate_min"], SCHEDULE["warmup_steps"]
    return high * step / warmup if step < warmup else low + (high - low) * (1 - (step - warmup) / (STEPS - warmup))


def rows(stream):
    """(tokens, targets, mask, positions) of each row."""
    for row in range(ROWS):
        window = stream[row * LENGTH:(row + 1) * LENGTH + 1]
        document, position, documents, positions = 0, -1, [], []
        for token in window[:-1]:
            if token == END:
                document, position = document + 1, -1
            position += 1
            documents.append(document)
            positions.append(position)
        d = torch.tensor(documents)
        mask = (d[:, None] == d[None, :]) & torch.ones(LENGTH, LENGTH).tril().bool()
        yield torch.tensor(window[:-1]), torch.tensor(window[1:]), mask, torch.tensor(positions)


def make(name, base_name, trainable_tokens=None):
    torch.manual_seed(11)
    stream = [END] + [int(token) for token in load_file(HERE / "tokens.safetensors")["tokens"]]
    tokens, targets, mask, positions = (torch.stack(part) for part in zip(*rows(stream)))
    mask = torch.where(mask, 0.0, torch.finfo(torch.float32).min)[:, None]
    base = LlamaForCausalLM.from_pretrained(BASES / base_name, dtype=torch.float32, attn_implementation="eager")
    lora = LoraConfig(r=3, lora_alpha=7, lora_dropout=0.0, task_type="CAUSAL_LM", target_modules=[
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        trainable_token_indices=trainable_tokens)
    model = get_peft_model(base, lora)
    for parameter_name, parameter in model.named_parameters():
        if "lora_B" in parameter_name:
            torch.nn.init.normal_(parameter, std=0.1)
        if "trainable_tokens" in parameter_name:
            parameter.data += 0.1 * torch.randn_like(parameter)
    model.peft_config["default"].base_model_name_or_path = base_name
    model.save_pretrained(HERE / name)
    (HERE / name / "README.md").unlink(missing_ok=True)

    learned = {name: p for name, p in model.named_parameters() if p.requires_grad}
    short = lambda name: name.removeprefix("base_model.model.").replace(".default", "")
    # Rows of tokens do not decay.
    group = lambda rows: [p for n, p in learned.items() if ("trainable_tokens" in n) == rows]
    groups = [{"params": group(False), "weight_decay": SCHEDULE["weight_decay"]}]
    if trainable_tokens:
        groups.append({"params": group(True), "weight_decay": 0.0})
    optimiser = torch.optim.AdamW(groups, betas=(SCHEDULE["beta1"], SCHEDULE["beta2"]),
                                  eps=SCHEDULE["epsilon"])
    log = []
    for step in range(1, STEPS + 1):
        optimiser.zero_grad()
        logits = model(input_ids=tokens, attention_mask=mask, position_ids=positions).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        loss.backward()
        if step == 1:
            save_file({short(name): p.grad.clone() for name, p in learned.items()}, HERE / name / "gradient.safetensors")
        norm = torch.nn.utils.clip_grad_norm_(learned.values(), SCHEDULE["clip_norm"])
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step)
        optimiser.step()
        log.append({"loss": loss.item(), "gradient_norm": norm.item(), "learning_rate": learning_rate(step)})
    weights = {short(name): [p.double().sum().item(), p.double().abs().sum().item()] for name, p in learned.items()}
    merged = {name: [p.double().sum().item(), p.double().abs().sum().item()]
              for name, p in model.merge_and_unload().named_parameters()}
    reference = {"schedule": SCHEDULE, "log": log, "weights_sum_and_sum_of_absolutes": weights,
                 "merged_sum_and_sum_of_absolutes": merged}
    (HERE / name / "expected.json").write_text(json.dumps(reference, indent=1) + "\n")


RUN = list(range(19, 25))
make("lora", "tied")
make("lora_tokens", "tied", {"embed_tokens": RUN})
make("lora_tokens_untied", "untied", {"embed_tokens": RUN, "lm_head": RUN})
