"""Writes words.json: lines of text and the ids that the libraries of others
give them, for tests/words.rs.

All text is written or made here. Run it with tokenizers and sentencepiece:

    python make_words.py > words.json

One byte-level vocabulary serves all ways to cut text; only the pre-tokenizer
differs. The ids of a line are kept as the sum that `fold` makes of them.
"""

import io
import json
import random
import re
import sys

import sentencepiece
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

TEXTS = [
    "Kila asubuhi watoto wanakwenda shuleni kwa miguu, na jioni wanarudi nyumbani kucheza mpira.",
    "The quick brown fox can't jump over 12345 lazy dogs; they're asleep, we'll see. I'd've SAID so!",
    "Dün akşam İstanbul'da çok yağmur yağdı, fakat güneş doğunca ısındık.",
    "Сегодня утром поезд пришёл вовремя, и мы поехали на дачу к бабушке.",
    "ذهب الأولاد إلى المدرسة في الصباح، وعادوا مساءً ليلعبوا الكرة ١٢٣٤.",
    "בבוקר הילדים הולכים לבית הספר, ובערב הם חוזרים הביתה לשחק.",
    "हर सुबह बच्चे पैदल स्कूल जाते हैं, और शाम को खेलने घर लौटते हैं। १२३",
    "每天早上孩子们走路去学校，晚上回家踢足球。今天是2026年11月25日。",
    "毎朝こどもたちは歩いて学校へ行き、夕方サッカーをしに帰ります。カタカナも。",
    "아이들은 매일 아침 걸어서 학교에 가고 저녁에 집으로 돌아옵니다.",
    "ทุกเช้าเด็กๆ เดินไปโรงเรียน และกลับบ้านตอนเย็น",
    "Mỗi sáng trẻ em đi bộ đến trường và buổi chiều về nhà đá bóng.",
    "ኣብ ነፍሲ ወከፍ ንግሆ ቆልዑ ናብ ቤት ትምህርቲ ይኸዱ።",
    "Ní àárọ̀ gbogbo àwọn ọmọdé máa ń rìn lọ sí ilé-ìwé; ẹ kú àárọ̀ o!",
    "Καθε πρωί τα παιδιά πάνε στο σχολείο με τα πόδια· ΤΟ ΒΡΑΔΥ γυρίζουν.",
    "def f(x):\n\tif x >= 10:\n        return x**2  # ok\n\n    return None\r\n",
    "https://example.org/a_b?c=1&d=%20#e <table><tr><td>x</td></tr></table> $3.50 + 7% = €1,000.00",
    "camelCase HTTPServer snake_case ÉCOLE École éCOLE ǅungla XMLHttpRequest2 iPhone",
]

ODDITIES = [
    " ", "  ", "   ", "     ", " " * 9, " " * 17, "\t", "\t\t", "\n", "\n\n", "\n\n\n", "\r\n", " \n ", "\n  ", "\u00a0",
    "\u3000", "\u2003", "\u200b", "\ufeff", "\u200d", "\u200f", "😀", "👩🏽‍🚀", "🇰🇪🇹🇿", "❤️", "e\u0301", "a\u0308\u0323", "ñ",
    "é", "क्षि", "ﷺ", "½", "²", "Ⅷ", "٣", "1", "12", "123", "1234", "12345678", "007", "3.14", "'s", "'S", "'ll", "'",
    "''", "\"", "...", "…", "!?", "--", "—", "===", "======", "$", "€", "^", "~", "`", "|", "+", "<", "<=", "_", "/",
    "//", "a", "I", "Ab", "aB", "ABc", "ﬁ", "ß", "ẞ", "İ", "ı", "\u0007", "\x00", "\x7f", "𝒳", "𐐷", "中", "か", "가",
    "haha", "hahaha", "ababab", "aaaa", "aaaaaaa", "<|endoftext|>", "<s>", "<0x41>", "▁", "▁▁", "Ġ", "<table>", "ſ",
]


def lines(random, count):
    """Each text, then mixtures of their words and of oddities."""
    words = [word for text in TEXTS for word in re.split(r"( )", text) if word]
    made = list(TEXTS) + ODDITIES
    while len(made) < count:
        parts = []
        for _ in range(random.randint(1, 14)):
            parts.append(random.choice(words if random.random() < 0.55 else ODDITIES))
            if random.random() < 0.3:
                parts.append(" ")
        made.append("".join(parts))
    return made


def fold(ids):
    """FNV-1a over the ids, folded to 16 bits, as hexadecimal."""
    state = 0xCBF29CE484222325
    for value in ids:
        state = ((state ^ value) * 0x100000001B3) % 2**64
    return f"{(state ^ state >> 16 ^ state >> 32 ^ state >> 48) & 0xFFFF:04x}"


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
GPT2 = {**BYTES, "use_regex": True}
DIGIT = {"type": "Digits", "individual_digits": True}
CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
CASE = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+@"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*@"
)


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}


def steps(*parts):
    return {"type": "Sequence", "pretokenizers": list(parts)}


REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SLASH = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
WAYS = {
    "gpt-2": (GPT2, False),
    "smollm": (steps(DIGIT, GPT2), False),
    "llama-bpe": (steps(split(CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + REST), BYTES), True),
    "smaug-bpe": (steps(split(CONTRACTIONS + "|[^\r\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}" + REST, "Removed", True), BYTES), False),
    "qwen2": (steps(split(CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + REST), BYTES), False),
    "qwen35": (
        steps(split(CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}" + REST.replace(r"\p{L}", r"\p{L}\p{M}")), BYTES),
        False,
    ),
    "tekken": (steps(split(CASE.replace("@", "") + r"|\p{N}" + SLASH), BYTES), True),
    "gpt-4o": (steps(split(CASE.replace("@", CONTRACTIONS + "?") + r"|\p{N}{1,3}" + SLASH), BYTES), False),
    "deepseek-coder": (
        steps(split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split("[一-龥ࠀ-一가-퟿]+"), DIGIT, BYTES), False
    ),
    "deepseek-v3": (
        steps(
            split(r"\p{N}{1,3}"),
            split("[一-龥぀-ゟ゠-ヿ]+"),
            split(
                "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
                "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
            ),
            BYTES,
        ),
        False,
    ),
}


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS * 4 + lines(random.Random(1), 3000), trainer)
    return json.loads(tokenizer.to_str())


def sentence_piece(texts, **options):
    """A SentencePiece model as the converter of llama.cpp writes it."""
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=file, model_type="bpe", byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, character_coverage=0.99, minloglevel=2,
        allow_whitespace_only_pieces=True, num_threads=1, **options,
    )
    model = sentencepiece.SentencePieceProcessor(model_proto=file.getvalue())
    tokens, scores, kinds = [], [], []
    for id in range(model.vocab_size()):
        token, kind = model.id_to_piece(id), 1
        if model.is_unknown(id):
            kind = 2
        elif model.is_control(id):
            kind = 3
        elif model.is_byte(id):
            kind = 6
        elif token in options.get("user_defined_symbols", []):
            token, kind = token.replace("▁", " "), 4
        tokens.append(token)
        scores.append(model.get_score(id))
        kinds.append(kind)
    vocabulary = {
        "model": "llama", "tokens": tokens, "scores": scores, "kinds": kinds, "bos": 1, "eos": 2, "unknown": 0,
        "add_bos": False, "add_space_prefix": options.get("add_dummy_prefix", True),
    }
    return model, vocabulary


def main():
    text = lines(random.Random(2), 1100)
    base = byte_level()
    ways = []
    for name, (cut, whole) in WAYS.items():
        tokenizer = dict(base, pre_tokenizer=cut)
        tokenizer["model"]["ignore_merges"] = whole
        tokenizer = Tokenizer.from_str(json.dumps(tokenizer))
        sums = "".join(fold(tokenizer.encode(line).ids) for line in text)
        ways.append({"pre": name, "pre_tokenizer": cut, "ignore_merges": whole, "sums": sums})
    base["model"]["merges"] = [" ".join(pair) for pair in base["model"]["merges"]]
    pieces = []
    training = [line for line in TEXTS * 6 + lines(random.Random(3), 1500) if "\0" not in line]
    runs = ["\n" * n for n in range(1, 6)] + ["▁" * n for n in range(2, 9)] + ["<table>", "<td>", "\t"]
    for options in [{"vocab_size": 900}, {"vocab_size": 900, "add_dummy_prefix": False, "user_defined_symbols": runs}]:
        model, vocabulary = sentence_piece(training, **options)
        # Text that spells a control token is text to SentencePiece.
        sums = "".join(fold(model.encode(line)) for line in text)
        pieces.append({"vocabulary": vocabulary, "sums": sums})
    json.dump({"lines": text, "tokenizer": base, "ways": ways, "pieces": pieces}, sys.stdout, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
