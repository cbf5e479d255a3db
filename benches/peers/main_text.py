"""Main content of pages: Kwaya beside trafilatura.

Two sets. Pages made from news in shared data in six templates, where the text
is known: menus, advertisements, comments, related stories, footers, tables for
layout. And pages of installed documentation, where nobody has said what the
main text is: there the agreement of the two is printed.

    python3 -m venv VENV && VENV/bin/pip install trafilatura lxml_html_clean
    cargo build --release -p kwaya-text --example extract_files
    VENV/bin/python benches/peers/main_text.py FOLDER target/release/examples/extract_files NEWS_FOLDER [DOCUMENTATION...]

FOLDER takes the pages. F1 is of words, as a bag. MB/s is of the
pages and of the time of one processor, reading the files included for Kwaya.
"""

import csv
import html
import json
import pathlib
import random
import re
import resource
import subprocess
import sys
import time
from collections import Counter

import trafilatura

PAGES_FOR_TEMPLATE = 40
DOCUMENTATION_MAX = 400
RUNS = 3
LINKS = ["Nyumbani", "Habari", "Michezo", "Biashara", "Afya", "Burudani", "Wasiliana nasi", "Kuhusu sisi", "Ingia", "Jisajili", "Video", "Picha"]


def menu(random, count=12):
    return "".join(f'<li><a href="/{i}">{random.choice(LINKS)}</a></li>' for i in range(count))


def related(random, others):
    return "".join(f'<div class="card"><a href="/n/{i}"><h3>{html.escape(o["headline"])}</h3></a><span>Soma zaidi</span></div>' for i, o in enumerate(random.sample(others, 5)))


def body(text, tag="p"):
    return "".join(f"<{tag}>{html.escape(p)}</{tag}>" for p in text)


def article(random, head, text, others):
    return f"<header><nav><ul>{menu(random)}</ul></nav></header><main><article><h1>{head}</h1><p class=byline>Na mwandishi wetu</p>{body(text)}</article></main><aside>{related(random, others)}</aside><footer><p>© 2024 Haki zote zimehifadhiwa</p><ul>{menu(random, 6)}</ul></footer>"


def advertisements(random, head, text, others):
    middle = len(text) // 2
    ad = '<div class="ad-banner"><a href="http://ads">Nunua sasa kwa bei nafuu! Bonyeza hapa</a></div>'
    return f"<div id=top>{ad}<ul class=nav>{menu(random)}</ul></div><div id=content class=post><h1>{head}</h1>{body(text[:middle])}{ad}{body(text[middle:])}<div class=share>Shiriki: <a>Facebook</a> <a>Twitter</a></div></div><div class=sidebar>{related(random, others)}{ad}</div>"


def table(random, head, text, others):
    lines = "<br><br>".join(html.escape(p) for p in text)
    return f"<table width=100%><tr><td colspan=2><table><tr>{''.join(f'<td><a href=/{i}>{random.choice(LINKS)}</a></td>' for i in range(8))}</tr></table></td></tr><tr><td width=20%>{related(random, others)}</td><td><h2>{head}</h2><font size=2>{lines}</font></td></tr></table><center>Haki zote</center>"


def soup(random, head, text, others):
    comments = "".join(f"<div class=comment><b>Msomaji {i}</b><div>{random.choice(['Habari nzuri sana!', 'Asante kwa taarifa', 'Sikubaliani na hili'])}</div></div>" for i in range(6))
    return f"<div class=w><div class=h><div>{'</div><div>'.join(random.choice(LINKS) for _ in range(10))}</div></div><div class=x><div class=t>{head}</div>{body(text, 'div')}</div><div class=comments><h4>Maoni</h4>{comments}</div><div class=r>{related(random, others)}</div></div>"


def cookies(random, head, text, others):
    return f"<div class=cookie-consent role=dialog><p>Tunatumia vidakuzi ili kuboresha huduma zetu. Kwa kuendelea unakubali masharti.</p><button>Kubali</button></div><section class=hero><h1>{head}</h1><figure><img src=a.jpg><figcaption>Picha: Maktaba</figcaption></figure></section><section class=entry-content>{body(text)}</section><section class=newsletter><p>Jiandikishe kupokea jarida letu kila wiki</p><form><input></form></section><section class=most-read><ol>{menu(random, 10)}</ol></section>"


def plain(random, head, text, others):
    return f"<h1>{head}</h1>{body(text)}<hr><p><a href=/>Nyumbani</a>"


TEMPLATES = [article, advertisements, table, soup, cookies, plain]


def words(text):
    return Counter(re.findall(r"\w+", text.lower()))


def f1(found, truth):
    same = sum((found & truth).values())
    return 2 * same / max(1, sum(found.values()) + sum(truth.values()))


def pages(folder, news):
    rows = []
    for path in sorted(pathlib.Path(news).glob("*/test.tsv")):
        rows += [r for r in csv.DictReader(open(path, encoding="utf-8"), delimiter="\t") if r["text"] and len(r["text"]) > 600]
    source = random.Random(5)
    source.shuffle(rows)
    made = []
    for number, template in enumerate(TEMPLATES):
        for at in range(PAGES_FOR_TEMPLATE):
            row = rows[number * PAGES_FOR_TEMPLATE + at]
            text = [p.strip() for p in row["text"].split("\n") if p.strip()]
            if len(text) < 4:  # One long line: a paragraph is some sentences.
                sentences = re.split(r"(?<=[.!?]) ", row["text"])
                text = [" ".join(sentences[i : i + 3]) for i in range(0, len(sentences), 3)]
            head = html.escape(row["headline"])
            inner = template(source, head, text, rows[-200:])
            page = f"<!DOCTYPE html><html><head><meta charset=utf-8><title>{head} | Habari Leo</title><script>var a = 'x';</script><style>p {{ margin: 0 }}</style></head><body>{inner}</body></html>"
            path = folder / f"{template.__name__}-{at:02}.html"
            path.write_text(page, encoding="utf-8")
            made.append((path, words(row["headline"] + "\n" + row["text"])))
    return made


def ours(program, paths):
    def used():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = used()
    read = subprocess.run([program, *map(str, paths)], capture_output=True, text=True, check=True)
    seconds = used() - before
    lines = [json.loads(line) for line in read.stdout.splitlines()]
    return [words(line.get("text", "")) for line in lines], seconds


def best(measure, *arguments):
    """The texts, and the shortest time of some runs: other work makes them longer."""
    runs = [measure(*arguments) for _ in range(RUNS)]
    return runs[0][0], min(seconds for _, seconds in runs)


def theirs(paths):
    found, seconds = [], 0.0
    for path in paths:
        page = path.read_bytes()
        started = time.process_time()
        text = trafilatura.extract(page) or ""
        seconds += time.process_time() - started
        found.append(words(text))
    return found, seconds


def main():
    folder, program, news = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    folder.mkdir(parents=True, exist_ok=True)
    made = pages(folder, news)
    paths = [path for path, _ in made]
    (a, kwaya_seconds), (b, peer_seconds) = best(ours, program, paths), best(theirs, paths)
    print("| template | Kwaya F1 | trafilatura F1 |\n| --- | --- | --- |")
    scores = [(path.name.split("-")[0], f1(x, truth), f1(y, truth)) for (path, truth), x, y in zip(made, a, b)]
    for name in [template.__name__ for template in TEMPLATES]:
        one = [(x, y) for n, x, y in scores if n == name]
        print(f"| {name} | {sum(x for x, _ in one) / len(one):.3f} | {sum(y for _, y in one) / len(one):.3f} |")
    size = sum(path.stat().st_size for path in paths) / 1e6
    mean = [sum(s[i] for s in scores) / len(scores) for i in (1, 2)]
    print(f"| all {len(scores)} | {mean[0]:.3f} | {mean[1]:.3f} |")
    print(f"\nKwaya {size / kwaya_seconds:.1f} MB/s, trafilatura {size / peer_seconds:.2f} MB/s: {peer_seconds / kwaya_seconds:.0f} times")
    documentation = sorted(p for root in sys.argv[4:] for p in pathlib.Path(root).rglob("*.html") if p.is_file() and 4000 < p.stat().st_size < 300_000)
    documentation = documentation[:: max(1, len(documentation) // DOCUMENTATION_MAX)]
    if documentation:
        (a, kwaya_seconds), (b, peer_seconds) = best(ours, program, documentation), best(theirs, documentation)
        agree = [f1(x, y) for x, y in zip(a, b) if y]
        covered = [sum((x & y).values()) / max(1, sum(y.values())) for x, y in zip(a, b) if y]
        size = sum(path.stat().st_size for path in documentation) / 1e6
        print(f"\nDocumentation: {len(agree)} pages; F1 of the two {sum(agree) / len(agree):.3f}; of trafilatura's words Kwaya has {sum(covered) / len(covered):.3f}")
        print(f"Kwaya {size / kwaya_seconds:.1f} MB/s, trafilatura {size / peer_seconds:.2f} MB/s: {peer_seconds / kwaya_seconds:.0f} times")
        for score, path in sorted(zip([f1(x, y) for x, y in zip(a, b)], documentation))[:5]:
            print(f"  {score:.2f} {path}")


if __name__ == "__main__":
    main()
