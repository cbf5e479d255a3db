"""The rules of datatrove on the documents of benches/quality.sh, beside the
figures that Kwaya wrote for them.

    quality.py DOCUMENTS.jsonl FIGURES.jsonl

Where both have the same rule, each document is asked of at the limit of the
paper, and the answers are compared. Words are those of each side: datatrove
counts punctuation among them.
"""

import collections
import json
import sys
import time
import warnings

from datatrove.data import Document
from datatrove.pipeline.filters import (C4QualityFilter, FineWebQualityFilter, GopherQualityFilter,
                                        GopherRepetitionFilter)

GOPHER = dict(min_doc_words=None, max_doc_words=None, min_avg_word_length=None, max_avg_word_length=None,
              max_symbol_word_ratio=None, max_bullet_lines_ratio=None, max_ellipsis_lines_ratio=None,
              max_non_alpha_words_ratio=None, min_stop_words=None)
REPETITION = dict(dup_line_frac=None, dup_para_frac=None, dup_line_char_frac=None, dup_para_char_frac=None,
                  top_n_grams=(), dup_n_grams=())
FINEWEB = dict(line_punct_thr=0, short_line_thr=9, char_duplicates_ratio=9, new_line_ratio=9)
TOP = ((2, .2), (3, .18), (4, .16))
DUPLICATE = ((5, .15), (6, .14), (7, .13), (8, .12), (9, .11), (10, .10))

# The same rule on both sides: datatrove's filter, and what Kwaya's figures say.
RULES = {
    "few-words": (GopherQualityFilter(**GOPHER | {"min_doc_words": 50}), lambda f: f < 50),
    "mean-word-length": (GopherQualityFilter(**GOPHER | {"min_avg_word_length": 3, "max_avg_word_length": 10}),
                         lambda f: not 3 <= f <= 10),
    "symbol-ratio": (GopherQualityFilter(**GOPHER | {"max_symbol_word_ratio": .1}), lambda f: f > .1),
    "bullet-lines": (GopherQualityFilter(**GOPHER | {"max_bullet_lines_ratio": .9}), lambda f: f > .9),
    "ellipsis-lines": (GopherQualityFilter(**GOPHER | {"max_ellipsis_lines_ratio": .3}), lambda f: f > .3),
    "alphabetic-words": (GopherQualityFilter(**GOPHER | {"max_non_alpha_words_ratio": .8}), lambda f: f < .8),
    "duplicate-lines": (GopherRepetitionFilter(**REPETITION | {"dup_line_frac": .3}), lambda f: f > .3),
    "duplicate-line-characters": (GopherRepetitionFilter(**REPETITION | {"dup_line_char_frac": .2}), lambda f: f > .2),
    "duplicate-paragraphs": (GopherRepetitionFilter(**REPETITION | {"dup_para_frac": .3}), lambda f: f > .3),
    "duplicate-paragraph-characters": (GopherRepetitionFilter(**REPETITION | {"dup_para_char_frac": .2}),
                                       lambda f: f > .2),
    "top-ngram": (GopherRepetitionFilter(**REPETITION | {"top_n_grams": TOP}), lambda f: f > 1),
    "duplicate-ngrams": (GopherRepetitionFilter(**REPETITION | {"dup_n_grams": DUPLICATE}), lambda f: f > 1),
    "unended-lines": (FineWebQualityFilter(**FINEWEB | {"line_punct_thr": .12}), lambda f: f > .88),
    "short-lines": (FineWebQualityFilter(**FINEWEB | {"short_line_thr": .67}), lambda f: f > .67),
    "line-breaks": (FineWebQualityFilter(**FINEWEB | {"new_line_ratio": .3}), lambda f: f > .3),
}

documents, figures = ([json.loads(line) for line in open(path, encoding="utf-8")] for path in sys.argv[1:3])
both = list(zip(documents, figures))
# Its splitters of words for other languages need models that are fetched.
both = [(d, f) for d, f in both if d["language"] in ("en", "sw", "so", "yo")][::6]
docs = [Document(text=d["text"], id=str(i)) for i, (d, _) in enumerate(both)]


def drops(rule, doc):
    """A document without a word makes datatrove divide by zero."""
    try:
        return rule.filter(doc) is not True
    except ZeroDivisionError:
        return True


warnings.simplefilter("ignore", RuntimeWarning)
print(f"{len(docs)} documents\n{'rule':32} both  only datatrove  only Kwaya  agreement")
for name, (rule, ours) in RULES.items():
    together = only_theirs = only_ours = 0
    kinds = collections.Counter()
    for doc, (d, figure) in zip(docs, both):
        theirs = drops(rule, doc)
        found = figure["figures"][name]
        mine = found is not None and ours(found)
        together += theirs and mine
        only_theirs += theirs and not mine
        only_ours += mine and not theirs
        if theirs != mine:
            kinds[f"{d['language']} {d['kind']}"] += 1
    agreement = 100 * (1 - (only_theirs + only_ours) / len(docs))
    print(f"{name:32} {together:4} {only_theirs:15} {only_ours:11} {agreement:9.2f} %  {dict(kinds.most_common(3))}")

# All rules of the papers, as a pipeline asks them, on what is good: each
# document goes through every filter.
good = [doc for doc, (d, _) in zip(docs, both) if d["kind"] == "good"]
filters = [GopherRepetitionFilter(), GopherQualityFilter(min_stop_words=None), FineWebQualityFilter(),
           C4QualityFilter(filter_no_terminal_punct=False)]
size = sum(len(doc.text.encode()) for doc in good)
start = time.process_time()
dropped = 0
for doc in good:
    fresh = Document(text=doc.text, id=doc.id)
    dropped += any([drops(rule, fresh) for rule in filters])
taken = time.process_time() - start
print(f"datatrove, all rules on good text: {size / 1e6 / taken:.2f} MB/s on one core; "
      f"{100 * dropped / len(good):.1f} % dropped")
