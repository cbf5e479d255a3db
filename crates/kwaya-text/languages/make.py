"""Makes languages.bin and golden.json: py3langid's model, cut to what decides.

    pip install py3langid==0.4.0 numpy zstandard
    python make.py

py3langid scores a text by naive Bayes over byte n-grams of 2 to 6 bytes: where
several end at one byte, the longest counts; n occurrences count log(1 + n).
For each language the 200 n-grams are kept that tell most of it (its part of
the Kullback-Leibler divergence from the mean of all), which makes 28 MB 0.6 MB.
On the test sets of MasakhaNEWS (ig, lg, so, xh, yo) and on Swahili and English
news, at most one more text in a hundred is named wrongly than by all of it.

languages.bin is a zstd frame around, all little endian:

    u32         languages L
    u32         n-grams G
    u32, bytes  length of the tags, tags with commas between
    i32 (L)     log prior                        in 1/512 nat
    i32 (L)     log likelihood of a rare n-gram  in 1/8 nat
    u16 (256)   log(1 + n)                       in 1/64
    u64 (G)     the n-gram: bytes from the lowest up, its length in the highest
    u8 (G, L)   log likelihood above that of a rare one, in 1/8 nat
"""

import json
import struct
from collections import Counter, deque

import numpy as np
import zstandard
from py3langid.langid import LanguageIdentifier

KEPT = 200
# Its names for languages that have a shorter code; zxx is no language.
CODES = {"kik": "ki", "gug": "gn"}
OMITTED = "zxx"

GOLDEN = {
    "sw": "Watu wote wamezaliwa huru, hadhi na haki zao ni sawa. Wote wamejaliwa akili na dhamiri.",
    "yo": "Gbogbo ènìyàn ni a bí ní òmìnira; iyì àti ẹ̀tọ́ kọ̀ọ̀kan sì dọ́gba.",
    "ig": "A mụrụ mmadụ nile n'ohere nakwa nha anya ugwu na ikike. E nyere ha uche na mmụọ.",
    "so": "Aadanaha dhammaantiis wuxuu dhashaa isagoo xor ah kana siman xagga sharafta iyo xuquuqda.",
    "xh": "Bonke abantu bazalwa bekhululekile belingana ngesidima nangokweemfanelo.",
    "lg": "Abantu bazaalibwa nga balina eddembe n'obuyinza ebyenkanankana, batondebwa nga balina amagezi.",
    "ha": "Su dai 'yan-adam, ana haifuwarsu ne duka 'yantattu, kuma kowannensu na da mutunci.",
    "am": "የሰው ልጅ ሁሉ ሲወለድ ነጻና በክብርና በመብትም እኩልነት ያለው ነው።",
    "lo": "ມະນຸດທຸກຄົນເກີດມາມີສິດເສລີພາບ ແລະສະເໝີໜ້າກັນໃນທາງກຽດຕິສັກ.",
    "km": "មនុស្សទាំងអស់កើតមកមានសេរីភាពនិងសមភាពក្នុងសេចក្តីថ្លៃថ្នូរ។",
    "en": "All human beings are born free and equal in dignity and rights.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits.",
    "hi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता प्राप्त है।",
}


def ngrams(model):
    """Each n-gram and its row, from the shortest way to each state."""
    ways, queue = {0: b""}, deque([0])
    while queue:
        state = queue.popleft()
        for byte in range(256):
            after = model.tk_nextmove[model._rowbase[state] + byte]
            if after not in ways:
                ways[after] = ways[state] + bytes([byte])
                queue.append(after)
    return {way: model.tk_output[state] for state, way in ways.items() if model.tk_output[state] >= 0}


def main():
    model = LanguageIdentifier.from_model_file("data/model.npz.xz")
    columns = [i for i, tag in enumerate(model.nb_classes) if tag != OMITTED]
    tags = [CODES.get(model.nb_classes[i], model.nb_classes[i]) for i in columns]
    likelihood, prior = model.nb_ptc.astype(np.float64)[:, columns], model.nb_pc[columns]
    rare = np.round(likelihood.min(axis=0) * 8)

    probability = np.exp(likelihood)
    tells = probability * (likelihood - np.log(probability.mean(axis=1, keepdims=True)))
    kept = set(np.argsort(-tells, axis=0, kind="stable")[:KEPT].ravel().tolist())
    # Read as a number, an n-gram sorts by its length and then from its end.
    grams = sorted((len(g) << 56 | int.from_bytes(g, "little"), g, row) for g, row in ngrams(model).items() if row in kept)
    above = np.round(likelihood[[row for _, _, row in grams]] * 8 - rare)
    above[above < 8] = 0
    assert above.max() < 256

    names = ",".join(tags).encode()
    raw = struct.pack("<III", len(tags), len(grams), len(names)) + names
    raw += np.round(prior * 512).astype("<i4").tobytes() + rare.astype("<i4").tobytes()
    raw += np.round(np.log1p(np.arange(256)) * 64).astype("<u2").tobytes()
    raw += np.array([number for number, _, _ in grams], "<u8").tobytes() + above.astype("u1").tobytes()
    with open("languages.bin", "wb") as file:
        file.write(zstandard.ZstdCompressor(level=22).compress(raw))

    # In floating point and from the n-grams as bytes, to compare with.
    rows = {gram: above[i] + rare for i, (_, gram, _) in enumerate(grams)}
    golden = []
    for tag, text in GOLDEN.items():
        assert model.classify(text)[0] == tag, (tag, model.classify(text))
        data, counts = text.encode(), Counter()
        for end in range(2, len(data) + 1):
            found = [data[start:end] for start in range(max(0, end - 6), end - 1) if data[start:end] in rows]
            counts.update(found[:1])
        scores = prior + sum(np.log1p(n) * rows[gram] / 8 for gram, n in counts.items())
        best = np.argsort(-scores)[:5]
        golden.append({"text": text, "ranking": [[tags[i], round(float(scores[i]), 2)] for i in best]})
    with open("golden.json", "w") as file:
        json.dump(golden, file, ensure_ascii=False, indent=1)
        file.write("\n")


main()
