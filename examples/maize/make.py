#!/usr/bin/env python3
"""Makes the DOCX, EPUB and PDF files of this example, and its three odd files.

    python3 make.py            write what is missing or differs
    python3 make.py --check    write nothing; fail if anything is missing, differs or is left over

sources/LANGUAGE/FORMAT-NAME.txt becomes documents/LANGUAGE/NAME.FORMAT. In a source the first line
is the title, a blank line ends a paragraph, and a line that starts with "# " is a heading (in an
EPUB: a chapter). Needs Python 3.9 and nothing else. No clock, no random numbers: the same sources
give the same bytes, as far as zlib does. Some builds of Python bring another deflate, which packs
the same content into other bytes, so files are compared by what they hold once unpacked.
"""

import io
import re
import struct
import sys
import uuid
import zipfile
import zlib
from html import escape
from pathlib import Path

HERE = Path(__file__).resolve().parent
DOCUMENTS = HERE / "documents"
DATE = "2025-01-01T00:00:00Z"
AUTHOR = "Kwaya contributors"
LICENCE = "CC BY 4.0"


def parse(text):
    """Title and blocks of a source; a block is ("heading" or "paragraph", its text on one line)."""
    title, *lines = text.strip().split("\n")
    blocks, paragraph = [], []
    for line in [*lines, ""]:
        line = line.strip()
        if line and not line.startswith("# "):
            paragraph.append(line)
            continue
        if paragraph:
            blocks.append(("paragraph", " ".join(paragraph)))
            paragraph = []
        if line:
            blocks.append(("heading", line[2:].strip()))
    return title.strip(), blocks


def archive(parts, compression=zipfile.ZIP_DEFLATED):
    """A ZIP of (name, text) parts. EPUB wants `mimetype` first and stored, so that one always is."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as pack:
        for name, text in parts:
            entry = zipfile.ZipInfo(name, date_time=(2025, 1, 1, 0, 0, 0))
            entry.create_system = 3  # else it would tell the system that made it
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_STORED if name == "mimetype" else compression
            pack.writestr(entry, text.encode())
    return out.getvalue()


XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'

# DOCX: Office Open XML, ISO/IEC 29500 (part 1: WordprocessingML; part 2: packaging).

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
WORD_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml"
CORE_TYPE = "application/vnd.openxmlformats-package.core-properties+xml"

CONTENT_TYPES = f"""{XML}<Types xmlns="{PACKAGE}/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/>
<Override PartName="/word/document.xml" ContentType="{WORD_TYPE}.document.main+xml"/>
<Override PartName="/word/styles.xml" ContentType="{WORD_TYPE}.styles+xml"/>
<Override PartName="/docProps/core.xml" ContentType="{CORE_TYPE}"/>
</Types>
"""

STYLES = XML + f'<w:styles xmlns:w="{WORD}">\n' + "".join(
    f'<w:style w:type="paragraph" {default}w:styleId="{name.title().replace(" ", "")}">'
    f'<w:name w:val="{name}"/>{based}<w:pPr><w:spacing w:after="160"/>{level}</w:pPr>'
    f'<w:rPr>{bold}<w:sz w:val="{half_points}"/></w:rPr></w:style>\n'
    for name, default, based, level, bold, half_points in [
        ("Normal", 'w:default="1" ', "", "", "", 22),
        ("Title", "", '<w:basedOn w:val="Normal"/>', "", "<w:b/>", 40),
        ("heading 1", "", '<w:basedOn w:val="Normal"/>', '<w:outlineLvl w:val="0"/>', "<w:b/>", 28),
    ]
) + "</w:styles>\n"


def relationships(targets):
    """A relationships part; `targets` are (type, target) pairs."""
    return f'{XML}<Relationships xmlns="{PACKAGE}/relationships">\n' + "".join(
        f'<Relationship Id="rId{number}" Type="{kind}" Target="{target}"/>\n'
        for number, (kind, target) in enumerate(targets, 1)
    ) + "</Relationships>\n"


def docx(title, blocks, language, compression=zipfile.ZIP_DEFLATED):
    styles = {"title": "Title", "heading": "Heading1", "paragraph": "Normal"}
    body = "".join(
        f'<w:p><w:pPr><w:pStyle w:val="{styles[kind]}"/></w:pPr>'
        f'<w:r><w:t xml:space="preserve">{escape(text, quote=False)}</w:t></w:r></w:p>\n'
        for kind, text in [("title", title), *blocks]
    )
    document = (
        f'{XML}<w:document xmlns:w="{WORD}"><w:body>\n{body}'
        '<w:sectPr><w:pgSz w:w="11906" w:h="16838"/></w:sectPr></w:body></w:document>\n'
    )
    core = (
        f'{XML}<cp:coreProperties xmlns:cp="{PACKAGE}/metadata/core-properties"'
        ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n'
        f"<dc:title>{escape(title)}</dc:title><dc:creator>{AUTHOR}</dc:creator>"
        f"<dc:language>{language}</dc:language>"
        f'<dcterms:created xsi:type="dcterms:W3CDTF">{DATE}</dcterms:created>'
        "</cp:coreProperties>\n"
    )
    return archive([
        ("[Content_Types].xml", CONTENT_TYPES),
        ("_rels/.rels", relationships([
            (f"{OFFICE}/officeDocument", "word/document.xml"),
            (f"{PACKAGE}/relationships/metadata/core-properties", "docProps/core.xml"),
        ])),
        ("word/document.xml", document),
        ("word/_rels/document.xml.rels", relationships([(f"{OFFICE}/styles", "styles.xml")])),
        ("word/styles.xml", STYLES),
        ("docProps/core.xml", core),
    ], compression)


# EPUB 3.3, https://www.w3.org/TR/epub-33/

CONTAINER = """<?xml version="1.0" encoding="UTF-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles>
<rootfile full-path="EPUB/package.opf" media-type="application/oebps-package+xml"/>
</rootfiles>
</container>
"""


def epub(title, blocks, language):
    chapters = []  # (heading, paragraphs); what comes before the first heading has the title for one
    for kind, text in blocks:
        if kind == "heading" or not chapters:
            chapters.append((text if kind == "heading" else title, []))
        if kind == "paragraph":
            chapters[-1][1].append(text)
    files = [f"chapter-{number}.xhtml" for number in range(1, len(chapters) + 1)]

    def page(name, body):
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html>\n'
            '<html xmlns="http://www.w3.org/1999/xhtml"'
            f' xmlns:epub="http://www.idpf.org/2007/ops" lang="{language}" xml:lang="{language}">\n'
            f"<head><title>{escape(name)}</title></head>\n<body>\n{body}</body>\n</html>\n"
        )

    links = "".join(
        f'<li><a href="{file}">{escape(heading)}</a></li>\n'
        for file, (heading, _) in zip(files, chapters)
    )
    nav = page(title, f'<nav epub:type="toc"><h1>{escape(title)}</h1>\n<ol>\n{links}</ol></nav>\n')
    items = "".join(
        f'<item id="{file[:-6]}" href="{file}" media-type="application/xhtml+xml"/>\n' for file in files
    )
    spine = "".join(f'<itemref idref="{file[:-6]}"/>\n' for file in files)
    package = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">\n'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">\n'
        f'<dc:identifier id="id">urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, title)}</dc:identifier>\n'
        f"<dc:title>{escape(title)}</dc:title>\n<dc:language>{language}</dc:language>\n"
        f"<dc:creator>{AUTHOR}</dc:creator>\n<dc:rights>{LICENCE}</dc:rights>\n"
        f'<meta property="dcterms:modified">{DATE}</meta>\n</metadata>\n'
        '<manifest>\n<item id="nav" href="nav.xhtml" properties="nav"'
        f' media-type="application/xhtml+xml"/>\n{items}</manifest>\n'
        f"<spine>\n{spine}</spine>\n</package>\n"
    )
    return archive([
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", CONTAINER),
        ("EPUB/package.opf", package),
        ("EPUB/nav.xhtml", nav),
        *(
            (f"EPUB/{file}", page(heading, f"<h1>{escape(heading)}</h1>\n" + "".join(
                f"<p>{escape(text, quote=False)}</p>\n" for text in paragraphs
            )))
            for file, (heading, paragraphs) in zip(files, chapters)
        ),
    ])


# PDF 1.4 (ISO 32000-1 describes all that is used here): A5 pages, two of the standard 14 fonts.

WIDTH, HEIGHT, MARGIN = 420, 595, 48  # points

# Advance widths of the characters 32 to 126, in thousandths of the font size, from Adobe's metrics.
HELVETICA = (
    "278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556"
    " 556 556 278 278 584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722"
    " 778 667 778 722 667 611 722 667 944 667 667 611 278 278 278 469 556 333 556 556 500 556 556 278"
    " 556 556 222 222 500 222 833 556 556 556 556 333 500 278 556 500 722 500 500 500 334 260 334 584"
)
HELVETICA_BOLD = (
    "278 333 474 556 556 889 722 238 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556"
    " 556 556 333 333 584 584 584 611 975 722 722 722 722 667 611 778 722 278 556 722 611 833 722"
    " 778 667 778 722 667 611 722 667 944 667 667 611 333 278 333 584 556 333 556 611 556 611 556 333"
    " 611 611 278 278 556 278 889 611 611 611 611 389 556 333 611 556 778 556 556 500 389 280 389 584"
)
WIDTHS = {
    "F1": [int(width) for width in HELVETICA.split()],
    "F2": [int(width) for width in HELVETICA_BOLD.split()],
}
# Font, size, distance between base lines, space above; all but the font in points.
LOOKS = {"title": ("F2", 20, 25, 0), "heading": ("F2", 13, 17, 12), "paragraph": ("F1", 10.5, 15, 6)}


def measure(text, font, size):
    """Width in points. A character outside ASCII is counted as the widest: a line may only be short."""
    widths = WIDTHS[font]
    return sum(widths[ord(c) - 32] if " " <= c <= "~" else 1000 for c in text) * size / 1000


def wrap(text, font, size):
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if measure(longer, font, size) <= WIDTH - 2 * MARGIN or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def show(text, font, size, x, y):
    """The operators that show one line. WinAnsiEncoding is Windows-1252; ( ) and \\ are escaped."""
    string = re.sub(rb"([()\\])", rb"\\\1", text.encode("cp1252"))
    return b"BT /%s %g Tf %g %g Td (%s) Tj ET\n" % (font.encode(), size, x, y, string)


def pdf(title, blocks, language):
    pages, y = [b""], HEIGHT - MARGIN
    for kind, text in [("title", title), *blocks]:
        font, size, leading, above = LOOKS[kind]
        y -= above
        for line in wrap(text, font, size):
            y -= leading
            if y < MARGIN + (3 * leading if kind == "heading" else 0):  # no heading at a page's foot
                pages.append(b"")
                y = HEIGHT - MARGIN - leading
            pages[-1] += show(line, font, size, MARGIN, y)
    first = 6  # objects 1 to 5: catalogue, page tree, two fonts, information
    kids = " ".join(f"{first + 2 * number} 0 R" for number in range(len(pages)))
    fonts = [f"<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>"
             for name in ("Helvetica", "Helvetica-Bold")]
    objects = [text.encode() for text in (
        f"<< /Type /Catalog /Pages 2 0 R /Lang ({language}) >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} /MediaBox [0 0 {WIDTH} {HEIGHT}]"
        " /Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>",
        *fonts,
        f"<< /Title <feff{title.encode('utf-16-be').hex()}> /Author ({AUTHOR})"
        f" /CreationDate (D:{re.sub('[^0-9]', '', DATE)}Z) >>",
    )]
    for number, content in enumerate(pages):
        foot = str(number + 1)
        content += show(foot, "F1", 9, (WIDTH - measure(foot, "F1", 9)) / 2, MARGIN / 2)
        stream = zlib.compress(content, 9)
        objects.append(b"<< /Type /Page /Parent 2 0 R /Contents %d 0 R >>" % (first + 2 * number + 1))
        objects.append(b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream"
                       % (len(stream), stream))
    out, offsets = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + (
        b"xref\n0 %d\n%strailer\n<< /Size %d /Root 1 0 R /Info 5 0 R >>\nstartxref\n%d\n%%%%EOF\n"
        % (len(objects) + 1, table, len(objects) + 1, len(out))
    )


# The odd files. Both binary ones are stored, not deflated, so that their bytes are the same everywhere.


def damaged_docx():
    """The first half of a DOCX, as a copy that was broken off leaves it: no directory at the end."""
    whole = docx("Taarifa ya ghala", [
        ("heading", "Mwezi wa kwanza"),
        ("paragraph", "Magunia arobaini yalipokelewa na kupimwa. Mawili yalirudishwa kwa unyevu."),
        ("heading", "Mwezi wa pili"),
        ("paragraph", "Hakuna wadudu walioonekana. Panya mmoja alikamatwa na paka wa jirani."),
    ], "sw", zipfile.ZIP_STORED)
    return whole[: len(whole) // 2]


def picture():
    """A PNG of 32 by 32 points: a yellow cob on green."""
    size = 32
    rows = b"".join(
        b"\0" + bytes(  # filter type 0 before each row
            0 if ((x - 15.5) / 7) ** 2 + ((y - 15.5) / 14) ** 2 > 1 else 1 + (x // 2 + y // 2) % 2
            for x in range(size)
        )
        for y in range(size)
    )
    palette = bytes([60, 120, 50, 250, 205, 70, 230, 175, 40])

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", size, size, 8, 3, 0, 0, 0)  # 8 bits, palette
    return b"\x89PNG\r\n\x1a\n" + b"".join([
        chunk(b"IHDR", header),
        chunk(b"PLTE", palette),
        chunk(b"IDAT", zlib.compress(rows, 0)),
        chunk(b"IEND", b""),
    ])


MAKERS = {"docx": docx, "epub": epub, "pdf": pdf}


def make():
    """All files that this script makes: {path: bytes}."""
    files = {
        DOCUMENTS / "mauzo-vide.txt": b"",
        DOCUMENTS / "picha.png": picture(),
        DOCUMENTS / "taarifa-iliyoharibika.docx": damaged_docx(),
    }
    for source in sorted((HERE / "sources").glob("*/*.txt")):
        kind, dash, name = source.stem.partition("-")
        if kind not in MAKERS or not dash:
            sys.exit(f"{source}: the name must begin with docx-, epub- or pdf-")
        language = source.parent.name
        title, blocks = parse(source.read_text(encoding="utf-8"))
        files[DOCUMENTS / language / f"{name}.{kind}"] = MAKERS[kind](title, blocks, language)
    return files


def unpacked(data):
    """What a file holds, however it was deflated. In a PDF all lengths and offsets hang on that too."""
    if data.startswith(b"%PDF"):
        between, streams = [], []
        for number, part in enumerate(re.split(rb"(?<= )>>\nstream\n|\nendstream\n", data)):
            (streams if number % 2 else between).append(part)
        return [re.sub(rb"[0-9]+", b"", part) for part in between], [zlib.decompress(s) for s in streams]
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as pack:
            return [(name, pack.read(name)) for name in pack.namelist()]
    except zipfile.BadZipFile:
        return data


def same(path, data):
    try:
        old = path.read_bytes()
        return old == data or unpacked(old) == unpacked(data)
    except (OSError, zlib.error):  # missing, or spoilt
        return False


def main(arguments):
    if arguments not in ([], ["--check"]):
        sys.exit(__doc__)
    files = make()
    stale = [path for path, data in files.items() if not same(path, data)]
    over = [p for kind in MAKERS for p in sorted(DOCUMENTS.glob(f"*/*.{kind}")) if p not in files]
    for path in over:
        print(f"{path.relative_to(HERE)}: has no source")
    for path in stale:
        if not arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files[path])
        print(f"{path.relative_to(HERE)}: {'differs' if arguments else 'written'}")
    if over or (arguments and stale):
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
