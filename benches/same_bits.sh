#!/bin/sh
# The same bits: 200 steps of the 2.6 M shape (rows of 32 tokens, 4 micro-batches
# a step) on the documents of the example, in either arithmetic, on each
# instruction set, with 1 to 8 threads, killed and resumed, and on 1 to 4 ranks.
# Prints the SHA-256 of each model; ends with 1 when two of one arithmetic differ.
#
#     benches/same_bits.sh [WITHOUT]
#
# WITHOUT is a word of the runs to leave out: "portable" takes half an hour.
# Ranks need Open MPI and `cargo build --release --features mpi`, which is made
# here when mpirun is there.
set -eu
cd "$(dirname "$0")/.."
without=${1:-nothing}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cargo build --quiet --release
cp "${CARGO_TARGET_DIR:-target}/release/kwaya" "$place/kwaya"
if command -v mpirun >/dev/null; then
    cargo build --quiet --release --features mpi
    cp "${CARGO_TARGET_DIR:-target}/release/kwaya" "$place/kwaya-mpi"
fi

recipe() { # precision, arithmetic
    cp -r examples/maize "$place/$1"
    rm -rf "$place/$1/build"
    sed -i -e "s/^arithmetic = .*/arithmetic = \"$2\"/" \
        -e 's/^vocabulary = .*/vocabulary = 4096/' -e 's/^key_value_heads = .*/key_value_heads = 6/' \
        -e 's/^steps = .*/steps = 200/' -e 's/^context = .*/context = 32/' \
        -e 's/^sequence_length = .*/sequence_length = 32/' -e 's/^sequences_per_micro_batch = .*/sequences_per_micro_batch = 1/' \
        -e 's/^micro_batches_per_step = .*/micro_batches_per_step = 4/' -e 's/^evaluate_every = .*/evaluate_every = 200/' \
        "$place/$1/kwaya.lock"
    sed -i '/^precision = /d' "$place/$1/kwaya.lock"
    echo "precision = \"$1\"" >>"$place/$1/kwaya.lock"
}

fresh() { rm -rf "$place/m" && cp -r "$place/$precision" "$place/m"; }
show() { # what it was
    sum=$(sha256sum "$place/m/build/model/model.safetensors" | cut -c1-64)
    printf '%s  %s, %s\n' "$sum" "$precision" "$1"
    [ "${first:=$sum}" = "$sum" ] || { echo "the bits differ" >&2; exit 1; }
}
build() { "$place/kwaya" build "$place/m" "$@" >/dev/null 2>"$place/log" || { cat "$place/log" >&2; exit 1; }; }

for precision in f32 bf16; do
    recipe $precision $precision-1
    first=
    for threads in 1 2 3 8; do
        fresh; build --threads $threads; show "best instructions, $threads threads"
    done
    for isa in avx512bf16 avx512 avx2 neon portable; do
        [ $isa != "$without" ] || continue
        KWAYA_ISA=$isa "$place/kwaya" status "$place/$precision" >/dev/null 2>&1 || { echo "$isa: not here"; continue; }
        fresh; KWAYA_ISA=$isa build; show $isa
    done
    fresh
    for moment in 6 4 5 3; do
        timeout -s KILL $moment "$place/kwaya" build "$place/m" --checkpoint-every 0.2s >/dev/null 2>&1 || true
    done
    build; show "killed four times and resumed"
    for ranks in 1 2 3 4; do
        [ -x "$place/kwaya-mpi" ] && [ ranks != "$without" ] || continue
        fresh
        mpirun --allow-run-as-root --oversubscribe -n $ranks "$place/kwaya-mpi" build "$place/m" --threads 1 \
            >/dev/null 2>"$place/log" || { cat "$place/log" >&2; exit 1; }
        show "$ranks ranks"
    done
done
