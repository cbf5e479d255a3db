"""What `kwaya classify` is measured against: TF-IDF of character 2- to
5-grams within words with scikit-learn's LinearSVC, on a folder of languages
with train.tsv and test.tsv each. Prints a JSON object a line: seconds of
training (TF-IDF and SVM, on rows that are in memory; not the start of Python,
nor reading), of answering, and weighted F1 on test.

    python benches/peers/classify.py FOLDER LANGUAGE...
"""

import csv
import json
import sys
import time

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.svm import LinearSVC

csv.field_size_limit(1 << 30)


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file, delimiter="\t"))
    return [row["headline"] + " " + row["text"] for row in table], [row["category"] for row in table]


for language in sys.argv[2:]:
    texts, labels = rows(f"{sys.argv[1]}/{language}/train.tsv")
    unseen, truths = rows(f"{sys.argv[1]}/{language}/test.tsv")
    start = time.perf_counter()
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    svm = LinearSVC().fit(vectors.fit_transform(texts), labels)
    trained = time.perf_counter()
    answers = svm.predict(vectors.transform(unseen))
    answered = time.perf_counter()
    print(
        json.dumps(
            {
                "language": language,
                "rows": len(texts),
                "train_seconds": trained - start,
                "rows_per_second": len(unseen) / (answered - trained),
                "weighted_f1": 100 * f1_score(truths, answers, average="weighted"),
            }
        ),
        flush=True,
    )
