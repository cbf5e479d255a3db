#!/bin/sh
# How long an index of passages takes, how large it is, how fast a question is
# answered and how often rightly: made documents of about 2 kB (see
# benches/peers/corpus_documents.py), about three passages each; then SQLite's
# FTS5 and, where it is installed, bm25s on the same passages and questions
# (benches/peers/ask.py). A question is half of the words of a sentence; a tenth
# of the documents are nearly another, so that not every one can come first.
# With headlines of MasakhaNEWS, also how often the right article is found and
# how well it is told when there is none.
#
#     benches/ask.sh LINES.txt [DOCUMENTS] [QUESTIONS] [MASAKHANEWS]
#
# LINES.txt is text in one language, such as Swahili news. 32,000 documents are
# about 100,000 passages. PYTHON is a Python for the peers.
set -eu
lines=$(realpath "$1")
count=${2:-32000}
questions=${3:-200}
news=${4:+$(realpath "$4")}
cd "$(dirname "$0")/.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cargo build --quiet --release -p kwaya-ask --examples
examples=${CARGO_TARGET_DIR:-target}/release/examples
python=${PYTHON:-python3}
"$python" benches/peers/corpus_documents.py "$lines" "$place/documents" "$count"
"$examples/ask_speed" "$place/documents/documents.jsonl" "$place" "$questions"
"$python" benches/peers/ask.py "$place"
[ -n "$news" ] || exit 0
for language in som yor lug ibo xho; do
    "$python" benches/peers/ask_questions.py tsv $language "$news/$language"/*.tsv >"$place/$language.jsonl"
done
for language in yor ibo; do
    "$python" benches/peers/ask_questions.py plain $language "$news/$language"/*.tsv >"$place/$language-plain.jsonl"
done
"$examples/known_items" "$place"/???.jsonl "$place"/*-plain.jsonl
