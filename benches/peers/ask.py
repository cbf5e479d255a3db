"""What `kwaya ask` is measured against, on the same passages and questions, as
`examples/ask_speed.rs` of kwaya-ask writes them: SQLite's FTS5 with its own
tokenizer and with trigrams, and bm25s where it is installed.

    ask.py FOLDER

Prints a JSON object for each: seconds to make the index, milliseconds of a
question, and how often its document came first and among the first five.
"""

import json
import os
import re
import sqlite3
import sys
import time

folder = sys.argv[1]


def read(name):
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


passages, questions = read("passages.jsonl"), read("questions.jsonl")


def report(name, seconds, size, search):
    times, first, five = [], 0, 0
    for asked in questions:
        begun = time.perf_counter()
        found = search(asked["question"])
        times.append(1e3 * (time.perf_counter() - begun))
        first += found[:1] == [asked["document"]]
        five += asked["document"] in found
    times.sort()
    at = lambda share: times[(len(times) - 1) * share // 100]
    print(
        json.dumps(
            {
                "peer": name,
                "passages": len(passages),
                "questions": len(questions),
                "seconds": seconds,
                "index_bytes": size,
                "p50_ms": at(50),
                "p95_ms": at(95),
                "hit_at_1": first,
                "hit_at_5": five,
            }
        ),
        flush=True,
    )


def fts5(name, tokenizer, terms):
    path = os.path.join(folder, "fts.db")
    if os.path.exists(path):
        os.remove(path)
    begun = time.perf_counter()
    base = sqlite3.connect(path)
    base.execute(f"create virtual table passages using fts5(document unindexed, text, tokenize='{tokenizer}')")
    base.executemany("insert into passages values (?, ?)", ((row["document"], row["text"]) for row in passages))
    base.execute("insert into passages(passages) values ('optimize')")
    base.commit()
    seconds = time.perf_counter() - begun

    def search(question):
        wanted = " OR ".join(f'"{term}"' for term in terms(question))
        query = "select document from passages where passages match ? order by rank limit 5"
        return [row[0] for row in base.execute(query, (wanted,))]

    report(name, seconds, os.path.getsize(path), search)
    base.close()
    os.remove(path)


def words(question):
    return sorted(set(re.findall(r"\w+", question)))


def trigrams(question):
    return sorted({word[at : at + 3] for word in words(question) for at in range(len(word) - 2)})


fts5("SQLite FTS5, words", "unicode61", words)
fts5("SQLite FTS5, trigrams", "trigram", trigrams)
try:
    import bm25s
except ImportError:
    sys.exit()
begun = time.perf_counter()
corpus = bm25s.tokenize([row["text"] for row in passages], stopwords=None, show_progress=False)
model = bm25s.BM25()
model.index(corpus, show_progress=False)
seconds = time.perf_counter() - begun


def search(question):
    tokens = bm25s.tokenize([question], stopwords=None, show_progress=False)
    found, _ = model.retrieve(tokens, k=5, show_progress=False)
    return [passages[at]["document"] for at in found[0]]


report("bm25s", seconds, None, search)
