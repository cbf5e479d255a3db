"""Compares ids on real text, by hand: of models with llama.cpp, and of a
SentencePiece model, trained here, with SentencePiece itself and llama.cpp.

    cargo build --release -p kwaya-text --example encode_words
    python compare_words.py target/release/examples/encode_words FILE...

It needs llama-cpp-python, sentencepiece and gguf. A FILE is a model (.gguf;
the vocabularies alone that llama.cpp has in its folder `models` will do) or
text, of which up to 300 lines are used, besides the lines of make_words.py.
"""

import json
import random
import subprocess
import sys
import tempfile

import gguf
from make_words import TEXTS, WAYS, byte_level, lines, sentence_piece

FIELDS = {
    "model": "model", "pre": "pre", "tokens": "tokens", "scores": "scores", "token_type": "kinds", "merges": "merges",
    "bos_token_id": "bos", "eos_token_id": "eos", "unknown_token_id": "unknown", "padding_token_id": "padding",
    "add_bos_token": "add_bos", "add_eos_token": "add_eos", "add_space_prefix": "add_space_prefix",
}


def ours(program, vocabulary, text):
    with tempfile.TemporaryDirectory() as folder:
        for name, value in [("v", vocabulary), ("l", text)]:
            with open(f"{folder}/{name}", "w") as file:
                json.dump(value, file)
        return json.loads(subprocess.run([program, f"{folder}/v", f"{folder}/l"], check=True, capture_output=True).stdout)


def llama_cpp(path, text):
    from llama_cpp import Llama

    model = Llama(path, vocab_only=True, verbose=False)
    return [model.tokenize(line.encode(), add_bos=False, special=False) for line in text]


def file_of(vocabulary, path):
    """A GGUF file of a vocabulary and nothing else."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(64)
    writer.add_block_count(1)
    writer.add_feed_forward_length(64)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(vocabulary["tokens"]))
    writer.add_tokenizer_model(vocabulary["model"])
    writer.add_token_list(vocabulary["tokens"])
    writer.add_token_types(vocabulary["kinds"])
    if "scores" in vocabulary:
        writer.add_token_scores(vocabulary["scores"])
    if "merges" in vocabulary:
        writer.add_token_merges(vocabulary["merges"])
        writer.add_tokenizer_pre(vocabulary["pre"])
    writer.add_bos_token_id(vocabulary["bos"])
    writer.add_eos_token_id(vocabulary["eos"])
    if "add_space_prefix" in vocabulary:
        writer.add_add_space_prefix(vocabulary["add_space_prefix"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def report(about, text, mine, theirs):
    wrong = [(line, a, b) for line, a, b in zip(text, mine, theirs, strict=True) if a != b]
    print(f"{about}: {len(text)} lines, {sum(map(len, theirs))} tokens, {len(wrong)} lines differ", flush=True)
    for line, a, b in wrong[:3]:
        at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
        print("   ", repr(line[:100]), at, a[max(0, at - 2) : at + 4], b[max(0, at - 2) : at + 4])


def main():
    program, *files = sys.argv[1:]
    real = []
    for path in [path for path in files if not path.endswith(".gguf")]:
        some = [line.rstrip("\n") for line in open(path, encoding="utf-8")]
        real += random.Random(4).sample(some, min(300, len(some)))
    text = real + lines(random.Random(5), 3000)
    for model in [path for path in files if path.endswith(".gguf")]:
        reader = gguf.GGUFReader(model)
        vocabulary = {}
        for name, field in FIELDS.items():
            if f"tokenizer.ggml.{name}" in reader.fields:
                vocabulary[field] = reader.fields[f"tokenizer.ggml.{name}"].contents()
        report(model.rsplit("/")[-1], text, ours(program, vocabulary, text), llama_cpp(model, text))

    training = [line for line in TEXTS * 6 + real if "\0" not in line]
    runs = ["\n" * n for n in range(1, 31)] + ["▁" * n for n in range(2, 31)] + ["<table>", "<td>", "\t"]
    for about, options in [
        ("pieces", {"vocab_size": 8000}),
        ("pieces as Gemma", {"vocab_size": 8000, "add_dummy_prefix": False, "user_defined_symbols": runs}),
    ]:
        pieces, vocabulary = sentence_piece(training, **options)
        mine = ours(program, vocabulary, text)
        # A token of several spaces is not found where text has the sign itself.
        theirs = [pieces.encode(line) if "▁" not in line else ids for line, ids in zip(text, mine)]
        report(f"{about} and SentencePiece", text, mine, theirs)
        with tempfile.TemporaryDirectory() as folder:
            file_of(vocabulary, f"{folder}/pieces.gguf")
            report(f"{about} and llama.cpp", text, mine, llama_cpp(f"{folder}/pieces.gguf", text))

    base = byte_level()
    tokens = sorted(base["model"]["vocab"], key=base["model"]["vocab"].get)
    merges = [" ".join(pair) for pair in base["model"]["merges"]]
    for pre in [*WAYS, "default", "falcon", "deepseek-llm"]:
        vocabulary = {
            "model": "gpt2", "pre": pre, "tokens": tokens, "kinds": [3] + [1] * (len(tokens) - 1), "merges": merges,
            "bos": 0, "eos": 0,
        }
        with tempfile.TemporaryDirectory() as folder:
            file_of(vocabulary, f"{folder}/bytes.gguf")
            theirs = llama_cpp(f"{folder}/bytes.gguf", text)
            report(f"{pre} and llama.cpp", text, ours(program, vocabulary, text), theirs)


main()
