#!/bin/sh
# How fast documents become a corpus: read, normalised, told by language, judged,
# without personal data and without duplicates. Beside datatrove, which leaves
# the language out.
#
#     benches/corpus.sh LINES.txt COUNT [PYTHON]
#
# LINES.txt is running text, a sentence or more a line; COUNT documents of about 2
# kB are made of it. PYTHON is an interpreter that has datatrove with its extra
# "processing", spacy and nltk; it is given the first tenth of them, up to 2,000.
set -eu
lines=$1 count=$2
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 "$here/peers/corpus_documents.py" "$lines" "$work/all" "$count"
cd "$here/.."
cargo build --release --quiet -p kwaya-text --example corpus_speed
speed() {
    command time -f '%M kB of memory at most' target/release/examples/corpus_speed "$@" 2>&1 | grep -E '^scan|documents:|memory' | head -n 3
}
for threads in 1 2; do
    for run in 1 2 3; do
        echo "== Kwaya, $threads threads, run $run"
        speed "$work/all" "$threads" sw
    done
done
if [ $# -gt 2 ]; then
    few=$((count / 10 < 2000 ? count / 10 : 2000))
    mkdir "$work/few"
    head -n "$few" "$work/all/documents.jsonl" > "$work/few/documents.jsonl"
    for run in 1 2 3; do
        echo "== $few documents, run $run"
        speed "$work/few" 1 sw
        "$3" "$here/peers/corpus.py" "$work/few" 2> "$work/log" | tail -n 1
    done
fi
