#!/bin/sh
# How well and how fast texts are classified: MasakhaNEWS, five languages,
# trained on train, settings chosen by cross-validation and on dev, weighted F1
# on test; in turn with TF-IDF of character n-grams and scikit-learn's
# LinearSVC (benches/peers/classify.py), so that both meet the same machine.
# Kwaya's seconds are those of the whole command: start, reading, five folds
# for each setting, calibration, training and writing. Those of the peer are
# TF-IDF and SVM alone. Medians of RUNS.
#
#     benches/classify.sh FOLDER [RUNS] [FLAGS FOR kwaya]
#
# FOLDER has som, yor, lug, ibo and xho, each with train.tsv, dev.tsv and
# test.tsv. PYTHON is a Python with benches/peers/requirements.txt.
set -eu
data=$(realpath "$1")
runs=${2:-5}
[ $# -lt 2 ] || shift
shift
cd "$(dirname "$0")/.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cargo build --quiet --release -p kwaya --bin kwaya
kwaya=${CARGO_TARGET_DIR:-target}/release/kwaya
for _ in $(seq "$runs"); do
    for language in som yor lug ibo xho; do
        ${PYTHON:-python3} benches/peers/classify.py "$data" $language >>"$place/peer"
        start=$(date +%s%N)
        "$kwaya" classify train --data "$data/$language/train.tsv" --dev "$data/$language/dev.tsv" --label category \
            --text headline,text "$place/model" "$@" >/dev/null 2>"$place/log" || { cat "$place/log" >&2; exit 1; }
        end=$(date +%s%N)
        "$kwaya" classify eval "$place/model" --data "$data/$language/test.tsv" --json "$@" 2>/dev/null |
            sed "1s/{/{\"language\": \"$language\", \"train_seconds\": $((end - start))e-9,/" >>"$place/kwaya"
        sum=$(sha256sum "$place/model" | cut -c1-16)
        [ "$(cat "$place/$language" 2>/dev/null || echo "$sum")" = "$sum" ] || { echo "$language: the bits differ" >&2; exit 1; }
        echo "$sum" >"$place/$language"
    done
done
${PYTHON:-python3} - "$place" "$runs" <<'END'
import json, statistics, sys
decoder, place, runs = json.JSONDecoder(), sys.argv[1], int(sys.argv[2])
def read(name):
    text, found = open(f"{place}/{name}").read().strip(), {}
    while text:
        value, end = decoder.raw_decode(text)
        found.setdefault(value["language"], []).append(value)
        text = text[end:].strip()
    return found
peer, own = read("peer"), read("kwaya")
median = lambda values, key: statistics.median(key(value) for value in values)
print("weighted F1 on test, seconds of training and rows answered per second; medians of", runs, "runs")
print(f"{'':4} {'kwaya':>7} {'SVM':>7} {'kwaya s':>9} {'SVM s':>9} {'times':>7} {'kwaya/s':>9} {'SVM/s':>9}")
table = []
for language in own:
    row = [
        median(own[language], lambda v: 100 * v["measures"]["weighted_f1"]),
        median(peer[language], lambda v: v["weighted_f1"]),
        median(own[language], lambda v: v["train_seconds"]),
        median(peer[language], lambda v: v["train_seconds"]),
        median(own[language], lambda v: v["measures"]["rows"] / v["seconds"]),
        median(peer[language], lambda v: v["rows_per_second"]),
    ]
    table.append(row)
    print(f"{language:4} {row[0]:7.2f} {row[1]:7.2f} {row[2]:9.3f} {row[3]:9.3f} {row[3] / row[2]:7.1f} {row[4]:9.0f} {row[5]:9.0f}")
mean = [statistics.mean(column) for column in zip(*table)]
print(f"mean {mean[0]:7.2f} {mean[1]:7.2f} {mean[2]:9.3f} {mean[3]:9.3f} {mean[3] / mean[2]:7.1f} {mean[4]:9.0f} {mean[5]:9.0f}")
END
