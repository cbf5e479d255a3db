"""Documents and questions to measure `kwaya ask` with, as JSON lines: each
document with `id`, `language`, `text` and `question`, and `in` false for every
second one, which is to be left out of the library, so that nothing there
answers its question.

    ask_questions.py tsv TAG FILE.tsv...     question: the headline of an article
    ask_questions.py plain TAG FILE.tsv...   the same without tones and dots
    ask_questions.py lines TAG FILE.txt      twenty lines a document; question: half
                                             of the words of one of them, in order
"""

import csv
import json
import random
import sys
import unicodedata

csv.field_size_limit(1 << 30)
way, language, *paths = sys.argv[1:]
draw = random.Random(7)


def plain(text):
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def articles():
    for path in paths:
        with open(path, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                yield row["text"], plain(row["headline"]) if way == "plain" else row["headline"]


def lines():
    with open(paths[0], encoding="utf-8") as file:
        every = [line.strip() for line in file]
    for at in range(0, len(every) - 19, 20):
        words = draw.choice([line for line in every[at : at + 20] if len(line.split()) > 11] or every[at : at + 1]).split()
        kept = sorted(draw.sample(range(len(words)), (len(words) + 1) // 2))
        yield "\n".join(every[at : at + 20]), " ".join(words[i] for i in kept)


known = set()
for text, question in lines() if way == "lines" else articles():
    # The same article stands there several times.
    if text in known or not question.strip():
        continue
    known.add(text)
    number = len(known)
    print(
        json.dumps(
            {"id": str(number), "language": language, "text": text, "question": question, "in": number % 2 == 0},
            ensure_ascii=False,
        )
    )
