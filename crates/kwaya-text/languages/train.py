"""Makes languages.bin, figures.tsv and golden.json from what collect.py left.

    pip install py3langid==0.4.0 numpy scipy zstandard
    python train.py OUT

The model is naive Bayes over n-grams of 1 to 5 characters, cut to what tells
languages apart. A text is folded: letters and marks in small, every apostrophe
as ', joiners left out, all else one space; n-grams lie within a word and the
spaces about it. p is the share of an n-gram among those of its length, the
mean over the sources that a language has; the score of a language is the sum
of log(p / FLOOR), where that is above zero, in half nats. An n-gram that more
than LANGUAGES_MAX languages have tells little, costs most time, and counts
for none; of the others those stay that are among the KEPT of some language
which tell most of it (its part of the Kullback-Leibler divergence from the
mean of all).

The tables of py3langid are one more source: their n-grams of bytes that are
whole characters, scaled to the shares that text of the other sources has.

languages.bin is a zstd frame around, all little endian; planes are the lowest
bytes of all numbers, then the next:

    u32         languages L
    u32         n-grams F
    u32         entries E
    u32         a text is unknown where q^3 m is below this / 2^32
    u32         its language is right with x / (x + this / 2^16), x = q^2 m
    u32, bytes  length of the tags, tags with commas between
    u32, bytes  length of other names of tags, as twi=ak, with commas between
    u16 (L)     the typical score of an n-gram of a text     in 1/256 half nat
    u8 (L)      the score of an empty text                   in half nats
    planes (F)  hash of the n-gram less that of the one before, u32
    u8 (F)      its entries, 0 for one that counts for none
    planes (E)  the language less that of the entry before in its row, u16
    u8 (E)      the score                                    in half nats
"""

import collections
import csv
import functools
import json
import struct
import sys
import unicodedata
import zlib

import numpy as np
import scipy.sparse as sparse
import zstandard

GRAM_MAX, FLOOR, KEPT, LANGUAGES_MAX, SCORE_MAX = 5, 1e-5, 1000, 100, 15
MULTIPLIER, SEED = np.uint32(0x9E3779B1), np.uint32(0x2545F491)
DISCOUNT = 0.8
# How much a source counts, how many characters of it are read, and which part
# is held out: one text in so many.
SOURCES = {
    "udhr": (1.0, 40_000, 6), "firefox": (1.0, 150_000, 10), "libreoffice": (1.0, 150_000, 10),
    "cldr": (0.5, 60_000, 0), "tesseract": (0.7, 60_000, 0),
}  # fmt: skip
# From a share among the n-grams of py3langid to one among those of a length.
SCALE = np.array([0, 12, 5, 2.2, 2, 2])
# Languages that py3langid alone has, and that are told from their neighbours.
ITS_OWN = {"guw": "Latn", "ltg": "Latn", "sdh": "Arab", "ki": "Latn", "gom": "Latn", "vo": "Latn", "gcr": "Latn"}
ITS_CODES = {"no": "nb", "gug": "gn", "kik": "ki"}
UNKNOWN = 0.015
FEW = 16
PRIOR = 3  # half nats for each source of text beyond the first

GOLDEN = [
    "Watu wote wamezaliwa huru, hadhi na haki zao ni sawa. Wote wamejaliwa akili na dhamiri.",
    "Gbogbo ènìyàn ni a bí ní òmìnira; iyì àti ẹ̀tọ́ kọ̀ọ̀kan sì dọ́gba.",
    "A mụrụ mmadụ nile n'ohere nakwa nha anya ugwu na ikike. E nyere ha uche na mmụọ.",
    "Aadanaha dhammaantiis wuxuu dhashaa isagoo xor ah kana siman xagga sharafta iyo xuquuqda.",
    "Bonke abantu bazalwa bekhululekile belingana ngesidima nangokweemfanelo.",
    "Abantu bazaalibwa nga balina eddembe n'obuyinza ebyenkanankana, batondebwa nga balina amagezi.",
    "Su dai 'yan-adam, ana haifuwarsu ne duka 'yantattu, kuma kowannensu na da mutunci.",
    "የሰው ልጅ ሁሉ ሲወለድ ነጻና በክብርና በመብትም እኩልነት ያለው ነው።",
    "ມະນຸດທຸກຄົນເກີດມາມີສິດເສລີພາບ ແລະສະເໝີໜ້າກັນໃນທາງກຽດຕິສັກ.",
    "មនុស្សទាំងអស់កើតមកមានសេរីភាពនិងសមភាពក្នុងសេចក្តីថ្លៃថ្នូរ។",
    "All human beings are born free and equal in dignity and rights.",
    "Tous les êtres humains naissent libres et égaux en dignité et en droits.",
    "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता प्राप्त है।",
    "Ko te katoa o nga tangata i te whanaungatanga mai e watea ana i nga here katoa.",
    "O tagata soifua uma ua saoloto lo latou fananau mai, ma e tutusa o latou tulaga aloaia faapea.",
    "Mayipatapuni tukuy runakunaqa nacekun qispisqa, kikin kaqlla.",
    "Mayakuna yvypóra ou ko yvy ári iñapytl'yre ha eteĩcha dignidad ha derecho jeguerekópe.",
    "ሰብ ክብሩን ነጻነቱን ተሓልዩሉ ይውለድ።",
    "လူတိုင်းသည် တူညီ လွတ်လပ်သော ဂုဏ်သိက္ခာဖြင့် လည်းကောင်း၊ မွေးဖွားလာသူများ ဖြစ်သည်။",
    "Сва људска бића рађају се слободна и једнака у достојанству и правима.",
    "Sva ljudska bića rađaju se slobodna i jednaka u dostojanstvu i pravima.",
    "qzx wvrk jjpq xxkz bvvn wqtp zzrk", "", "12:30 1999-2004",
]  # fmt: skip


@functools.cache
def fold(character):
    if character in "'’‘ʻʼꞌ`´":
        return "'"
    if character in "\u200c\u200d":
        return ""
    category = unicodedata.category(character)
    return character.lower()[0] if category[0] in "LM" or category == "Nl" else " "


def hashes(text):
    """The hashes of the n-grams of a text, by length."""
    codes = np.frombuffer((" " + " ".join("".join(map(fold, text)).split()) + " ").encode("utf-32-le"), np.uint32)
    space = codes == 32
    state, within, out = np.full(len(codes), SEED), np.ones(len(codes), bool), []
    for length in range(1, GRAM_MAX + 1):
        count = max(len(codes) - length + 1, 0)
        state = state[:count] * MULTIPLIER + codes[length - 1 :][:count] + np.uint32(1)
        within = within[:count] & ~space[length - 2 :][:count] if length > 2 else within[:count]
        words = ~space[:count] if length == 1 else within & ~(space[:count] & space[1:][:count]) if length == 2 else within
        out.append(state[words])
    return out


def parts(texts, source):
    """What of the texts of a source is learned from, and what is held out."""
    _, limit, every = SOURCES[source]
    place = lambda text: zlib.crc32(text.encode())
    held = [text for text in texts if every and place(text) % every == 0]
    learned = sorted((text for text in texts if not every or place(text) % every), key=lambda t: zlib.crc32(t.encode()[::-1]))
    lengths = np.cumsum([len(text) for text in learned])
    return learned[: np.searchsorted(lengths, limit) + 1], held


class Counts:
    """The n-grams of each language and source, and its texts held out."""

    def __init__(self, texts):
        self.shares, self.held = {}, {}
        for tag, sources in sorted(texts.items()):
            shares, held = {}, []
            for source in SOURCES:
                learned, kept_back = parts(sources.get(source, []), source)
                least = 1500 if tag[-4:] in ("Hans", "Hant", "Jpan") else 3000
                if sum(map(len, learned)) >= least:
                    counts = [np.unique(h, return_counts=True) for h in hashes(" ".join(learned))]
                    shares[source] = [(h, np.maximum(c - DISCOUNT, 0) / max(c.sum(), 1)) for h, c in counts]
                    held.append(kept_back)
            running = set(shares) & {"udhr", "firefox", "libreoffice"}
            words = sum(sum(map(len, sources.get(source, []))) for source in ("cldr", "tesseract"))
            if running or (shares and words >= 30_000):
                self.shares[tag], self.held[tag] = shares, held


class Its:
    """The tables of py3langid, by hashes of folded n-grams."""

    def __init__(self):
        from py3langid.langid import LanguageIdentifier

        model = LanguageIdentifier.from_model_file("data/model.npz.xz")
        rows = collections.defaultdict(list)
        ways, queue = {0: b""}, collections.deque([0])
        while queue:
            state = queue.popleft()
            for byte in range(256):
                after = model.tk_nextmove[model._rowbase[state] + byte]
                if after not in ways:
                    ways[after] = ways[state] + bytes([byte])
                    queue.append(after)
        for way in sorted(ways.values()):
            state = 0
            for byte in way:
                state = model.tk_nextmove[model._rowbase[state] + byte]
            row = model.tk_output[state]
            try:
                gram = "".join(map(fold, way.decode()))
            except UnicodeDecodeError:
                continue
            if row >= 0 and 0 < len(gram) <= GRAM_MAX and gram.strip() and " " not in gram[1:-1]:
                rows[gram].append(row)
        self.tags, share = list(model.nb_classes), np.exp(model.nb_ptc.astype(np.float64))
        grams = sorted(rows)
        self.share = np.array([share[rows[gram]].sum(0) for gram in grams])
        self.share[self.share <= share.min(0) * 1.5] = 0
        self.share *= SCALE[[len(gram) for gram in grams], None]
        self.hash = np.array([self.of(gram) for gram in grams], np.uint32)

    @staticmethod
    def of(gram):
        state = int(SEED)
        for character in gram:
            state = (state * int(MULTIPLIER) + ord(character) + 1) & 0xFFFFFFFF
        return state


class Model:
    """The scores of n-grams (F, L), the score of an empty text (L)."""

    def __init__(self, counts, its, without=()):
        sources = {tag: counts.shares[tag] for tag in counts.shares if tag not in without}
        sources |= {f"{tag}-{script}": {} for tag, script in ITS_OWN.items() if f"{tag}-{script}" not in without}
        self.tags = sorted(sources)
        of_language = collections.Counter(tag.split("-")[0] for tag in self.tags)
        theirs = {tag: i for i, tag in enumerate(its.tags)}
        theirs |= {ITS_CODES.get(tag, tag): i for tag, i in list(theirs.items())}
        rows, columns, shares = [], [], []
        for column, tag in enumerate(self.tags):
            weight = sum(SOURCES[source][0] for source in sources[tag])
            found = [(h, p * SOURCES[s][0]) for s, lengths in sources[tag].items() for h, p in lengths]
            grams, place = np.unique(np.concatenate([h for h, _ in found] + [its.hash]), return_inverse=True)
            total, over = np.zeros(len(grams)), np.full(len(grams), weight)
            mine = len(place) - len(its.hash)
            np.add.at(total, place[:mine], np.concatenate([p for _, p in found] + [np.zeros(0)]))
            language = tag.split("-")[0]
            if language in theirs and of_language[language] == 1:
                np.add.at(total, place[mine:], its.share[:, theirs[language]])
                over[place[mine:]] += 1
            share = total / np.maximum(over, 1e-9)
            told = share > FLOOR * 1.1
            rows.append(grams[told]), columns.append(np.full(told.sum(), column)), shares.append(share[told])
        self.grams, place = np.unique(np.concatenate(rows), return_inverse=True)
        shape = (len(self.grams), len(self.tags))
        self.prior = np.array([PRIOR * max(len(sources[tag]) - 1, 0) for tag in self.tags])
        self.cut(sparse.csr_matrix((np.concatenate(shares), (place, np.concatenate(columns))), shape))

    def cut(self, shares):
        languages, having = len(self.tags), np.diff(shares.indptr)
        mean = np.log((np.asarray(shares.sum(1)).ravel() + FLOOR * (languages - having)) / languages)
        kept, columns = np.zeros(len(self.grams), bool), shares.tocsc()
        for column in range(languages):
            part = slice(columns.indptr[column], columns.indptr[column + 1])
            grams, share = columns.indices[part], columns.data[part]
            tells = np.where(having[grams] <= LANGUAGES_MAX, share * (np.log(share) - mean[grams]), 0)
            kept[grams[np.argsort(-tells, kind="stable")[:KEPT]]] = True
        kept &= having <= LANGUAGES_MAX
        self.common = self.grams[having > LANGUAGES_MAX]
        self.grams, self.scores = self.grams[kept], shares[kept]
        self.scores.data = np.clip(np.round(2 * np.log(self.scores.data / FLOOR)), 0, SCORE_MAX)
        self.scores.eliminate_zeros()
        self.scores.sort_indices()

    def look(self, texts):
        """Scores (T, L) and n-grams (T) of texts."""
        found, ends, grams = [], [0], []
        for text in texts:
            all_grams = np.concatenate(hashes(text))
            place = np.minimum(np.searchsorted(self.grams, all_grams), len(self.grams) - 1)
            found.append(place[self.grams[place] == all_grams])
            ends.append(ends[-1] + len(found[-1]))
            grams.append(len(all_grams))
        ones = np.ones(ends[-1])
        rows = sparse.csr_matrix((ones, np.concatenate(found), ends), (len(texts), len(self.grams)))
        return np.asarray((rows @ self.scores).todense()) + self.prior, np.maximum(np.array(grams), 1)

    def learn_typical(self, counts):
        """What an n-gram of a text that was not learned from scores."""
        long = {tag: " ".join(text for texts in counts.held.get(tag, []) for text in texts[:40])[:4000] for tag in self.tags}
        scores, grams = self.look([long[tag] for tag in self.tags])
        own = (scores.diagonal() - self.prior) / grams
        enough = np.array([len(long[tag]) >= 500 for tag in self.tags])
        self.typical = np.where(enough, own, np.median(own[enough]))

    def judge(self, texts):
        """The nearest language of texts, q (how near, 1 is typical) and m (how
        far the next is)."""
        scores, grams = self.look(texts)
        best = scores.argmax(1)
        two = -np.partition(-scores, 1, axis=1)[:, :2]
        q = two[:, 0] / grams / self.typical[best]
        return [self.tags[i] for i in best], q, (two[:, 0] - two[:, 1]) / np.sqrt(grams)


def short_texts(strings, limit):
    """Strings joined until they have 100 bytes, as texts; so many at most."""
    texts, text = [], ""
    for string in sorted(strings, key=lambda s: zlib.crc32(s.encode())):
        text = (text + " " + string).strip()
        if len(text.encode()) >= 100:
            texts.append(text)
            text = ""
        if len(texts) == limit:
            break
    return texts


def fit(columns, right):
    """Logistic regression: the weight of each column, and the constant."""
    inputs = np.stack([*columns, np.ones(len(right))], 1)
    weights = np.zeros(inputs.shape[1])
    for _ in range(40):
        chance = 1 / (1 + np.exp(-inputs @ weights))
        curve = (inputs * (chance * (1 - chance))[:, None]).T @ inputs + 1e-6 * np.eye(len(weights))
        weights += np.linalg.solve(curve, inputs.T @ (right - chance))
    return weights


def main(folder):
    texts = json.load(open(folder + "/texts.json", encoding="utf-8"))
    names = json.load(open(folder + "/names.json", encoding="utf-8"))
    counts, its = Counts(texts), Its()

    # Held-out texts of each language, and texts of a source that nothing is
    # learned from, except where they seem to be in another language: many
    # translations there fall back to a neighbour.
    held = {tag: [t for texts_ in counts.held[tag][:1] for t in texts_ if len(t) >= 40][:40] for tag in counts.held}
    held = {tag: found if "udhr" in counts.shares[tag] else short_texts([t for ts in counts.held[tag] for t in ts], 40) for tag, found in held.items()}
    others = {tag: short_texts(sources["mediawiki"], 20) for tag, sources in texts.items() if "mediawiki" in sources}

    # Calibration: with every sixth language left out, on texts of all.
    left_out = {tag for tag in counts.shares if zlib.crc32(tag.encode()) % 6 == 0}
    partial = Model(counts, its, left_out)
    partial.learn_typical(counts)
    trial = [(tag, text) for part in (held, others) for tag in sorted(part) if tag in counts.shares for text in part[tag]]
    trial = [(tag, text[: (25, 50, 100, 200, 400)[zlib.crc32(text.encode()) % 5]]) for tag, text in trial]
    found, q, m = partial.judge([text for _, text in trial])
    votes = collections.defaultdict(collections.Counter)
    for (tag, _), language in zip(trial, found):
        votes[tag][language] += 1
    mistaken = {tag for tag, vote in votes.items() if tag not in left_out and vote.most_common(1)[0][0] != tag}
    use = np.array([tag not in mistaken for tag, _ in trial])
    known = np.array([tag not in left_out for tag, _ in trial])[use]
    right = np.array([tag == language for (tag, _), language in zip(trial, found)])[use]
    log_q, log_m = np.log(np.maximum(q[use], 0.02)), np.log(np.maximum(m[use], 0.02))
    print("left out", len(left_out), "mistaken", sorted(mistaken))
    print("known by ln q, ln m:", fit([log_q, log_m], known), "right:", fit([log_q, log_m], right))
    # The weights are rounded to whole powers: in the program these are products
    # and one quotient. What is called unknown is a choice between losing known
    # texts and misnaming others: of texts of another kind than those learned
    # from, UNKNOWN of those that are named rightly are lost.
    nearness = 3 * log_q + log_m
    of_others = np.array([place >= sum(map(len, (held[tag] for tag in held if tag in counts.shares))) for place in range(len(trial))])[use]
    unknown = float(np.exp(np.quantile(nearness[of_others & right], UNKNOWN)))
    lost = lambda part: (nearness[part] < np.log(unknown)).mean()
    print("called unknown: held-out", lost(~of_others & right), "others", lost(of_others & right), "left out", lost(~known & ~of_others), lost(~known & of_others))
    grid = np.exp(np.linspace(-6, 4, 2001))
    x = np.exp(2 * log_q + log_m)
    half = grid[np.argmin([np.where(right, -np.log(x / (x + k)), -np.log(k / (x + k))).mean() for k in grid])]
    print("unknown below", unknown, "right by x / (x +", half, ")")

    model = Model(counts, its)
    model.learn_typical(counts)
    write(model, unknown, half, names)
    figures(model, held, others, unknown, names, counts)
    golden(model)


def shown(tags):
    """Tags as they are shown: with the script where a language has several."""
    several = collections.Counter(tag.split("-")[0] for tag in tags)
    return [tag if several[tag.split("-")[0]] > 1 else tag.split("-")[0] for tag in tags]


def write(model, unknown, half, names):
    from collect import ALIASES

    planes = lambda numbers, kind: np.array(numbers).astype(kind).view("u1").reshape(len(numbers), -1).T.tobytes()
    grams = np.concatenate([model.grams, model.common])
    lengths = np.concatenate([np.diff(model.scores.indptr), np.zeros(len(model.common), int)])
    # Those of a few languages lie by their first one: a text then reads from
    # few places in memory.
    first = np.zeros(len(grams), int)
    few = (lengths > 0) & (lengths <= FEW)
    first[few] = model.scores.indices[model.scores.indptr[:-1][few[: len(model.grams)]]] + 1
    order = np.lexsort((grams, first))
    entries = np.concatenate([np.arange(model.scores.indptr[i], model.scores.indptr[i + 1]) for i in order if lengths[i]])
    languages = model.scores.indices[entries].astype(int)
    starts = np.concatenate([[0], np.cumsum(lengths[order])[:-1]])[lengths[order] > 0]
    steps = np.diff(languages, prepend=0)
    steps[starts] = languages[starts]
    tags = ",".join(shown(model.tags)).encode()
    base = {tag.split("-")[0] for tag in model.tags}
    other = {**names["short"], **{long: ALIASES[code] for long, code in names["short"].items() if code in ALIASES}, **ALIASES}
    other = ",".join(f"{a}={b}" for a, b in sorted(other.items()) if b in base and a not in base).encode()
    raw = struct.pack("<5I", len(model.tags), len(grams), len(languages), int(unknown * 2**32), int(half * 2**16))
    raw += struct.pack("<I", len(tags)) + tags + struct.pack("<I", len(other)) + other
    raw += np.round(model.typical * 256).astype("<u2").tobytes() + model.prior.astype("u1").tobytes()
    raw += planes(np.diff(grams[order].astype(np.int64), prepend=0) % 2**32, "<u4") + lengths[order].astype("u1").tobytes()
    raw += planes(steps, "<u2") + model.scores.data[entries].astype("u1").tobytes()
    with open("languages.bin", "wb") as file:
        file.write(zstandard.ZstdCompressor(level=22).compress(raw))
    print(len(model.tags), "tags", len(base), "languages", len(grams), "n-grams", len(model.common), "common", len(languages), "entries")


def figures(model, held, others, unknown, names, counts):
    """A row for each language: how well its held-out texts are told, among
    those of all."""
    sets, rows = {"held-out": [], "other": []}, {}
    for tag in model.tags:
        own = held.get(tag, [])
        sets["held-out"] += [(tag, text) for text in own or others.get(tag, [])]
        sets["other"] += [(tag, text) for text in others.get(tag, [])]
    for name, texts in sets.items():
        found, q, m = model.judge([text for _, text in texts])
        found = [tag if q[i] ** 3 * m[i] >= int(unknown * 2**32) / 2**32 else "und" for i, tag in enumerate(found)]
        pairs = collections.Counter(zip((tag for tag, _ in texts), found))
        given, answered = collections.Counter(tag for tag, _ in texts), collections.Counter(found)
        for tag in given:
            wrong = collections.Counter({b: n for (a, b), n in pairs.items() if a == tag and b != tag})
            f1 = 2 * pairs[tag, tag] / (given[tag] + answered[tag])
            rows[tag, name] = (given[tag], f1, pairs[tag, tag] / given[tag], wrong.most_common(2))
        all_f1 = [rows[tag, name][1] for tag in given]
        print(name, len(texts), "texts", len(given), "languages, macro F1", np.mean(all_f1), "median", np.median(all_f1))
    tags = dict(zip(model.tags, shown(model.tags)))
    with open("figures.tsv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(["tag", "script", "name", "learned from", "texts", "f1", "taken for", "other texts", "recall"])
        for tag in model.tags:
            language, script = tag.split("-")
            texts, f1, _, wrong = rows.get((tag, "held-out"), (0, None, None, []))
            other = rows.get((tag, "other"))
            sources = [*counts.shares.get(tag, {}), *(["py3langid"] if language in ITS_OWN else [])]
            wrong = " ".join(f"{tags.get(b, b)}:{n}" for b, n in wrong)
            table.writerow([tags[tag], script, names["names"].get(language, language), " ".join(sources), texts, "" if f1 is None else f"{f1:.3f}", wrong, other[0] if other else 0, f"{other[2]:.3f}" if other else ""])


def golden(model):
    """The best scores of some texts, from this code and none of the program's."""
    cases = []
    for text in GOLDEN:
        (scores,), (grams,) = model.look([text])
        best = np.argsort(-scores, kind="stable")[:5]
        tags = shown(model.tags)
        cases.append({"text": text, "grams": int(sum(map(len, hashes(text)))), "ranking": [[tags[i], int(scores[i])] for i in best]})
    with open("golden.json", "w", encoding="utf-8") as file:
        json.dump(cases, file, ensure_ascii=False, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
