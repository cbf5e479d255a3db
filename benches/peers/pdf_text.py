"""PDF text of Kwaya beside pdftotext, on PDFs of nine makers in five scripts.

The texts are known: news in Yoruba from shared data, and messages of installed
programs in Arabic, Hindi, Bengali and Tamil. Each maker sets them on several
pages with running heads and page numbers, LaTeX also in two columns and with
words broken at line ends. For each PDF: the F1 of words of Kwaya and of
pdftotext against the source, and of Kwaya against pdftotext, and the seconds.

    apt install libreoffice-writer texlive-xetex texlive-luatex texlive-lang-arabic \
        texlive-latex-recommended chromium librsvg2-bin ghostscript poppler-utils fonts-noto-core
    python3 -m venv VENV && VENV/bin/pip install weasyprint fpdf2 reportlab uharfbuzz
    cargo build --release -p kwaya-text --example extract_files
    VENV/bin/python benches/peers/pdf_text.py FOLDER target/release/examples/extract_files NEWS.tsv

FOLDER takes the PDFs (about 40) and is used again where they are there. Makers
that are not installed are passed over, and said to be.
"""

import csv
import glob
import gettext
import html
import json
import pathlib
import re
import shutil
import subprocess
import sys
import textwrap
import time
import unicodedata
from collections import Counter

LANGUAGES = {  # name: (font, right to left)
    "yo": ("Noto Serif", False),
    "ar": ("Noto Naskh Arabic", True),
    "hi": ("Noto Serif Devanagari", False),
    "bn": ("Noto Serif Bengali", False),
    "ta": ("Noto Serif Tamil", False),
}
PARAGRAPHS = 40


def paragraphs(language, news):
    if language == "yo":
        rows = list(csv.DictReader(open(news, encoding="utf-8"), delimiter="\t"))
        found = [p.strip() for row in rows for p in row["text"].split("\n") if len(p) > 80]
    else:
        found = []
        for path in sorted(glob.glob(f"/usr/share/locale/{language}/LC_MESSAGES/*.mo")):
            catalogue = gettext.GNUTranslations(open(path, "rb"))._catalog
            for key, value in sorted(catalogue.items(), key=str):
                if key and isinstance(value, str) and 60 < len(value) < 400 and not re.search(r"[%\n<>&\\{}_~^$#|`]", value):
                    found.append(value)
    # Several messages make a paragraph of some length.
    words, out = 0, []
    for text in dict.fromkeys(found):
        text = unicodedata.normalize("NFC", " ".join(text.split()))
        if any(unicodedata.category(c) in ("Cf", "Cn", "Co") for c in text) or re.search(r"[%<>&\\{}_~^$#|`]", text):
            continue
        # Fonts of other scripts have no Latin letters.
        if language != "yo" and re.search(r"[A-Za-z]", text):
            continue
        if out and len(out[-1]) < 350:
            out[-1] += " " + text
        elif len(out) == PARAGRAPHS:
            break
        else:
            out.append(text)
    return out


def page(language, texts, columns=False):
    font, rtl = LANGUAGES[language]
    body = "".join(f"<p>{html.escape(p)}</p>" for p in texts)
    style = f"body {{ font-family: '{font}'; font-size: 11pt; {'columns: 2;' if columns else ''} }}"
    if columns:
        style += "p { text-align: justify; }"
    heads = "@page { @top-center { content: 'Kichwa cha kurasa zote'; } @bottom-center { content: counter(page); } }"
    return f"<!doctype html><html lang={language} dir={'rtl' if rtl else 'ltr'}><meta charset=utf-8><style>{style}{heads}</style><body>{body}"


def run(*command, **options):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=180, **options)


def libreoffice(language, texts, to):
    source = to.with_suffix(".html")
    source.write_text(page(language, texts), encoding="utf-8")
    run("soffice", "--headless", "--infilter=HTML (StarWriter)", "--convert-to", "pdf:writer_pdf_Export", "--outdir", to.parent, source)


def chromium(language, texts, to, columns=False):
    source = to.with_suffix(".html")
    source.write_text(page(language, texts, columns), encoding="utf-8")
    run("chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--print-to-pdf={to}", source.as_uri())


def chromium_columns(language, texts, to):
    chromium(language, texts, to, True)


def weasyprint(language, texts, to):
    import weasyprint as maker

    maker.HTML(string=page(language, texts)).write_pdf(to)


def cairo(language, texts, to):
    font, rtl = LANGUAGES[language]
    lines = [line for p in texts[:12] for line in textwrap.wrap(p, 60)]
    place = 'x="580" direction="rtl"' if rtl else 'x="20"'
    rows = "".join(f'<text {place} y="{30 + 20 * i}">{html.escape(line)}</text>' for i, line in enumerate(lines))
    source = to.with_suffix(".svg")
    height = 60 + 20 * len(lines)
    source.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="600" height="{height}" font-family="{font}" font-size="14">{rows}</svg>', encoding="utf-8")
    # One page, as long as its text, by librsvg, which draws with Pango and Cairo.
    run("rsvg-convert", "-f", "pdf", "-o", to, source)


def latex(program, language, texts, to, columns=False):
    font, rtl = LANGUAGES[language]
    two = ",twocolumn" if columns else ""
    lines = [rf"\documentclass[11pt{two}]{{article}}\usepackage{{fontspec}}\usepackage{{fancyhdr}}\pagestyle{{fancy}}\fancyhead[C]{{Kichwa cha kurasa zote}}"]
    if program == "lualatex":
        lines.append(rf"\setmainfont[Renderer=HarfBuzz]{{{font}}}")
        start = r"\pardir TRT\textdir TRT " if rtl else ""
    elif rtl:
        lines.append(rf"\usepackage{{bidi}}\setmainfont[Script=Arabic]{{{font}}}")
        start = r"\setRTL "
    else:
        script = {"hi": "Devanagari", "bn": "Bengali", "ta": "Tamil"}.get(language)
        lines.append(rf"\setmainfont{f'[Script={script}]' if script else ''}{{{font}}}")
        start = ""
    lines.append(r"\begin{document}\sloppy")
    lines += [start + p + "\n" for p in texts]
    lines.append(r"\end{document}")
    source = to.with_suffix(".tex")
    source.write_text("\n\n".join(lines), encoding="utf-8")
    run(program, "-interaction=nonstopmode", source.name, cwd=to.parent)


def xelatex(language, texts, to):
    latex("xelatex", language, texts, to)


def xelatex_columns(language, texts, to):
    latex("xelatex", language, texts, to, True)


def lualatex(language, texts, to):
    latex("lualatex", language, texts, to)


def fpdf2(language, texts, to):
    import fpdf

    font = subprocess.run(["fc-match", "-f", "%{file}", LANGUAGES[language][0]], capture_output=True, text=True).stdout
    pdf = fpdf.FPDF()
    pdf.add_font("text", fname=font)
    pdf.set_font("text", size=11)
    pdf.set_text_shaping(True)
    pdf.add_page()
    for p in texts:
        pdf.multi_cell(0, text=p, align="R" if LANGUAGES[language][1] else "L", new_x="LMARGIN", new_y="NEXT")
        pdf.ln(3)
    pdf.output(str(to))


def reportlab(language, texts, to):
    if language != "yo":
        raise FileNotFoundError("reportlab does not shape")
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase import pdfmetrics, ttfonts
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer

    font = subprocess.run(["fc-match", "-f", "%{file}", LANGUAGES[language][0]], capture_output=True, text=True).stdout
    pdfmetrics.registerFont(ttfonts.TTFont("text", font))
    style = ParagraphStyle("p", fontName="text", fontSize=11, leading=14)
    SimpleDocTemplate(str(to)).build([x for p in texts for x in (Paragraph(html.escape(p), style), Spacer(1, 6))])


def ghostscript(language, texts, to):
    source = to.parent / f"{language}-libreoffice.pdf"
    run("gs", "-q", "-dNOPAUSE", "-dBATCH", "-sDEVICE=pdfwrite", f"-sOutputFile={to}", source)


MAKERS = [libreoffice, chromium, chromium_columns, weasyprint, cairo, xelatex, xelatex_columns, lualatex, fpdf2, reportlab, ghostscript]


def words(text):
    text = unicodedata.normalize("NFKC", text)
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cc") or c in "\n\t ")
    parts = re.split(r"[\s\-–—/‘’“”\"'()\[\].,;:!?،؛؟।॥…·+]+", text)
    return [p.lower() for p in parts if p]


def f1(found, truth):
    found, truth = Counter(found), Counter(truth)
    same = sum((found & truth).values())
    return 2 * same / max(1, sum(found.values()) + sum(truth.values()))


def main():
    folder, program, news = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3]
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for language in LANGUAGES:
        texts = paragraphs(language, news)
        for maker in MAKERS:
            to = folder / f"{language}-{maker.__name__}.pdf"
            if not to.exists():
                try:
                    maker(language, texts, to)
                except Exception as error:
                    print(f"passed over: {to.name}: {str(error)[:100]}", file=sys.stderr)
            if to.exists():
                made.append((to, texts[:12] if maker is cairo else texts))
    read = subprocess.run([program, *[str(path) for path, _ in made]], capture_output=True, text=True, check=True)
    ours = [json.loads(line) for line in read.stdout.splitlines()]
    print("| PDF | Kwaya | pdftotext | Kwaya beside pdftotext | Kwaya s | pdftotext s |\n| --- | --- | --- | --- | --- | --- |")
    all_ours, all_theirs = [], []
    for (path, texts), found in zip(made, ours):
        started = time.perf_counter()
        theirs = subprocess.run(["pdftotext", path, "-"], capture_output=True, check=True).stdout.decode()
        seconds = time.perf_counter() - started
        # Heads are no text: pdftotext leaves them in, and that is not held against it.
        theirs = re.sub(r"Kichwa cha kurasa zote|\f?^\d+$", "", theirs, flags=re.M)
        truth = words("\n".join(texts))
        if "text" not in found:
            print(f"| {path.name} | {found['refused']} |")
            found["text"] = ""
        a, b = f1(words(found["text"]), truth), f1(words(theirs), truth)
        all_ours.append(a)
        all_theirs.append(b)
        print(f"| {path.name} | {a:.3f} | {b:.3f} | {f1(words(found['text']), words(theirs)):.3f} | {found['seconds']:.3f} | {seconds:.3f} |")
    good = sum(a >= 0.97 or a >= b for a, b in zip(all_ours, all_theirs))
    print(f"\n{len(all_ours)} PDFs; mean {sum(all_ours) / len(all_ours):.3f}, pdftotext {sum(all_theirs) / len(all_theirs):.3f}; {good} at 0.97 or at pdftotext's")


if __name__ == "__main__":
    main()
