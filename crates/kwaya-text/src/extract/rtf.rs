//! RTF: groups in braces, words after a backslash, and text between.
//!
//! The libraries for it read neither code pages nor footnotes, and take text
//! for Unicode that is not; so it is read here. The text of the body is taken:
//! paragraphs, rows of tables, and footnotes after their paragraph. Left out
//! are running heads, comments, hidden text, text that was deleted while
//! changes were tracked, and fields' instructions.

use std::collections::BTreeMap;

use encoding_rs::{
    BIG5, EUC_KR, Encoding, GBK, MACINTOSH, SHIFT_JIS, WINDOWS_874, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252,
    WINDOWS_1253, WINDOWS_1254, WINDOWS_1255, WINDOWS_1256, WINDOWS_1257, WINDOWS_1258,
};

use crate::{Reason, extract::Refusal};

/// Groups within groups, at most.
const DEPTH_MAX: usize = 10_000;
/// Fonts of one file, at most.
const FONTS_MAX: usize = 10_000;

/// Groups whose text is no text of the body.
const SKIPPED: [&[u8]; 36] = [
    b"annotation",
    b"atnauthor",
    b"atndate",
    b"atnicn",
    b"atnid",
    b"atnparent",
    b"atnref",
    b"atntime",
    b"atrfend",
    b"atrfstart",
    b"author",
    b"bkmkend",
    b"bkmkstart",
    b"colortbl",
    b"comment",
    b"datafield",
    b"fldinst",
    b"footer",
    b"footerf",
    b"footerl",
    b"footerr",
    b"header",
    b"headerf",
    b"headerl",
    b"headerr",
    b"info",
    b"listtext",
    b"nonshppict",
    b"object",
    b"pict",
    b"pntext",
    b"sn",
    b"stylesheet",
    b"sv",
    b"tc",
    b"xe",
];

/// Where the text of a group goes.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Body,
    Note,
    Fonts,
    Nowhere,
}

/// What holds in a group, and in those within it.
#[derive(Clone, Copy)]
struct Group {
    place: Place,
    /// Hidden, or deleted.
    hidden: bool,
    deleted: bool,
    /// How many characters stand for one of Unicode, for old readers.
    stand_in: usize,
    encoding: Option<&'static Encoding>,
    in_table: bool,
}

struct Reading<'a> {
    bytes: &'a [u8],
    at: usize,
    groups: Vec<Group>,
    group: Group,
    fonts: BTreeMap<i64, Option<&'static Encoding>>,
    /// The font that the table of fonts tells of.
    font: i64,
    page: &'static Encoding,
    /// Bytes that wait to be decoded, as a character may have two.
    pending: Vec<u8>,
    /// The first half of a character of Unicode.
    high: Option<u16>,
    body: String,
    note: String,
    /// Characters still to be passed over.
    pass: usize,
}

/// The text of an RTF file.
pub(crate) fn text(bytes: &[u8]) -> Result<String, Refusal> {
    let group =
        Group { place: Place::Body, hidden: false, deleted: false, stand_in: 1, encoding: None, in_table: false };
    let mut reading = Reading {
        bytes,
        at: 0,
        groups: Vec::new(),
        group,
        fonts: BTreeMap::new(),
        font: 0,
        page: WINDOWS_1252,
        pending: Vec::new(),
        high: None,
        body: String::new(),
        note: String::new(),
        pass: 0,
    };
    reading.read()?;
    Ok(reading.body)
}

impl Reading<'_> {
    fn read(&mut self) -> Result<(), Refusal> {
        while let Some(&byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'{' => {
                    self.flush();
                    if self.groups.len() == DEPTH_MAX {
                        return Err((Reason::Damaged, format!("groups more than {DEPTH_MAX} deep")));
                    }
                    self.groups.push(self.group);
                    self.pass = 0;
                }
                b'}' => {
                    self.flush();
                    let Some(group) = self.groups.pop() else { return Ok(()) };
                    if self.group.place == Place::Note && group.place != Place::Note && !self.note.is_empty() {
                        self.note.push_str("\n\n");
                    }
                    self.group = group;
                    self.pass = 0;
                    if self.groups.is_empty() {
                        break;
                    }
                }
                b'\\' => self.control(),
                b'\r' | b'\n' => {}
                _ => self.byte(byte),
            }
        }
        self.flush();
        self.end_paragraph("");
        match self.groups.is_empty() {
            true => Ok(()),
            false => Err((Reason::Damaged, "the file ends too soon".to_owned())),
        }
    }

    /// A byte of text.
    fn byte(&mut self, byte: u8) {
        if self.pass > 0 {
            self.pass -= 1;
        } else if self.is_shown() {
            self.pending.push(byte);
        }
    }

    fn is_shown(&self) -> bool {
        matches!(self.group.place, Place::Body | Place::Note) && !self.group.hidden && !self.group.deleted
    }

    /// Writes the bytes that wait.
    fn flush(&mut self) {
        self.high = None;
        if !self.pending.is_empty() {
            let encoding = self.group.encoding.unwrap_or(self.page);
            let bytes = std::mem::take(&mut self.pending);
            let text = encoding.decode_without_bom_handling(&bytes).0;
            self.write(&text);
        }
    }

    fn write(&mut self, text: &str) {
        match self.group.place {
            _ if !self.is_shown() => {}
            Place::Note => self.note.push_str(text),
            _ => self.body.push_str(text),
        }
    }

    /// Ends a paragraph of the body, after which its footnotes come.
    fn end_paragraph(&mut self, end: &str) {
        self.write(end);
        if self.group.place == Place::Body && !self.note.is_empty() && !self.group.in_table {
            if !self.body.ends_with("\n\n") {
                self.body.push_str("\n\n");
            }
            self.body.push_str(&std::mem::take(&mut self.note));
        }
    }

    /// What follows a backslash.
    fn control(&mut self) {
        let Some(&first) = self.bytes.get(self.at) else { return };
        if !first.is_ascii_alphabetic() {
            self.at += 1;
            return self.symbol(first);
        }
        let rest = &self.bytes[self.at..];
        let length = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let (word, rest) = rest.split_at(length);
        let minus = usize::from(rest.first() == Some(&b'-') && rest.get(1).is_some_and(u8::is_ascii_digit));
        let digits = rest[minus..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = str::from_utf8(&rest[..minus + digits]).ok().filter(|_| digits > 0);
        // What is no number of 64 bits is none.
        let number = number.and_then(|number| number.parse::<i64>().ok());
        self.at += length + minus + digits;
        // A blank ends the word and is no text.
        self.at += usize::from(self.bytes.get(self.at) == Some(&b' '));
        if word == b"bin" {
            self.at = self.at.saturating_add(usize::try_from(number.unwrap_or(0)).unwrap_or(0)).min(self.bytes.len());
        } else if word == b"u" {
            self.unicode(number.unwrap_or(0));
        } else if self.pass > 0 {
            self.pass -= 1;
        } else {
            self.flush();
            self.word(word, number);
        }
    }

    fn symbol(&mut self, symbol: u8) {
        match symbol {
            b'\'' => {
                let digits = self.bytes.get(self.at..self.at + 2).and_then(|digits| str::from_utf8(digits).ok());
                if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                    self.at += 2;
                    self.byte(byte);
                }
            }
            b'\\' | b'{' | b'}' => self.byte(symbol),
            // A group that old readers pass over, as is right for most; those
            // with text are known by their next word.
            b'*' => {
                let known = [&b"\\shpinst"[..], b"\\shptxt", b"\\footnote"];
                if !known.iter().any(|word| self.bytes[self.at..].starts_with(word)) {
                    self.group.place = Place::Nowhere;
                }
            }
            _ if self.pass > 0 => self.pass -= 1,
            _ => {
                self.flush();
                match symbol {
                    b'~' => self.write("\u{a0}"),
                    b'_' => self.write("\u{2011}"),
                    b'-' => self.write("\u{ad}"),
                    b'\r' | b'\n' => self.end_paragraph("\n\n"),
                    _ => {}
                }
            }
        }
    }

    /// A character of Unicode, as a number of 16 bits with or without a sign.
    fn unicode(&mut self, number: i64) {
        let high = self.high;
        self.flush();
        self.pass = self.group.stand_in;
        let unit = number as u16;
        match char::decode_utf16(high.into_iter().chain([unit])).next() {
            Some(Ok(character)) => self.write(character.encode_utf8(&mut [0; 4])),
            _ => self.high = Some(unit),
        }
    }

    fn word(&mut self, word: &[u8], number: Option<i64>) {
        let on = number != Some(0);
        match word {
            b"par" | b"sect" | b"page" if self.group.in_table => self.write(" "),
            b"par" | b"sect" | b"page" | b"column" => self.end_paragraph("\n\n"),
            b"line" | b"softline" => self.write("\n"),
            b"cell" | b"nestcell" => self.write(" | "),
            b"row" | b"nestrow" => {
                self.group.in_table = false;
                self.end_row();
            }
            b"intbl" => self.group.in_table = true,
            b"pard" => self.group.in_table = false,
            b"tab" => self.write("\t"),
            b"emdash" => self.write("—"),
            b"endash" => self.write("–"),
            b"bullet" => self.write("•"),
            b"lquote" => self.write("‘"),
            b"rquote" => self.write("’"),
            b"ldblquote" => self.write("“"),
            b"rdblquote" => self.write("”"),
            b"emspace" | b"enspace" | b"qmspace" => self.write(" "),
            b"zwj" => self.write("\u{200d}"),
            b"zwnj" => self.write("\u{200c}"),
            b"plain" => (self.group.hidden, self.group.deleted, self.group.encoding) = (false, false, None),
            b"v" => self.group.hidden = on,
            b"deleted" => self.group.deleted = on,
            b"uc" => self.group.stand_in = number.map_or(1, |count| count.clamp(0, 16) as usize),
            b"ansicpg" => self.page = number.and_then(code_page).unwrap_or(WINDOWS_1252),
            b"mac" => self.page = MACINTOSH,
            b"footnote" if self.group.place == Place::Body => {
                (self.group.place, self.group.in_table) = (Place::Note, false);
            }
            b"fonttbl" => self.group.place = Place::Fonts,
            b"f" if self.group.place == Place::Fonts => self.font = number.unwrap_or(0),
            b"fcharset" if self.fonts.len() < FONTS_MAX => {
                self.fonts.insert(self.font, number.and_then(character_set));
            }
            b"f" => self.group.encoding = self.fonts.get(&number.unwrap_or(0)).copied().flatten(),
            _ if SKIPPED.contains(&word) => self.group.place = Place::Nowhere,
            _ => {}
        }
    }

    /// Ends a row, without what stands after its last cell.
    fn end_row(&mut self) {
        if self.group.place == Place::Body {
            self.body.truncate(self.body.trim_end_matches([' ', '|']).len());
        }
        self.end_paragraph("\n");
    }
}

fn code_page(number: i64) -> Option<&'static Encoding> {
    Some(match number {
        874 => WINDOWS_874,
        932 => SHIFT_JIS,
        936 => GBK,
        949 => EUC_KR,
        950 => BIG5,
        1250 => WINDOWS_1250,
        1251 => WINDOWS_1251,
        1252 => WINDOWS_1252,
        1253 => WINDOWS_1253,
        1254 => WINDOWS_1254,
        1255 => WINDOWS_1255,
        1256 => WINDOWS_1256,
        1257 => WINDOWS_1257,
        1258 => WINDOWS_1258,
        10_000 => MACINTOSH,
        65_001 => encoding_rs::UTF_8,
        _ => return None,
    })
}

/// The encoding of a font by the number of its set of characters.
fn character_set(number: i64) -> Option<&'static Encoding> {
    code_page(match number {
        77 => 10_000,
        128 => 932,
        129 => 949,
        134 => 936,
        136 => 950,
        161 => 1253,
        162 => 1254,
        163 => 1258,
        177 => 1255,
        178..=180 => 1256,
        186 => 1257,
        204 => 1251,
        222 => 874,
        238 => 1250,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_tables_and_notes_are_read() {
        for (file, expected) in [
            (r"{\rtf1\ansi Habari za {\b leo}.\par Nzuri\line sana}", "Habari za leo.\n\nNzuri\nsana"),
            (r"{\rtf1\ansi\uc1 \u7884?j\u7885?ba {\uc0\u7885}{\uc2\u-10179\'5f\'5f\u-8638 xx}!}", "Ọjọba ọ🙂!"),
            (r"{\rtf1\ansi\ansicpg1252 caf\'e9 \ldblquote a\rdblquote\~b\\c\{d\}}", "café “a”\u{a0}b\\c{d}"),
            (
                r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0\fcharset0 Times;}{\f1\fcharset204 Cyr;}}\f1 \'ca\'f3\'ea\f0 \'e9}",
                "Кукé",
            ),
            (r"{\rtf1\ansi\ansicpg936 \'d3\'f1\'c3\'d7}", "玉米"),
            (
                r"{\rtf1\ansi{\stylesheet{\s0 Normal;}}{\info{\author Juma}}{\header Kichwa}{\*\generator X;}Mwili{\field{\*\fldinst HYPERLINK}{\fldrslt kiungo}}}",
                "Mwilikiungo",
            ),
            (r"{\rtf1 Moja{\footnote \chftn Tanbihi.} mbili\par Tatu}", "Moja mbili\n\nTanbihi.\n\nTatu"),
            (
                r"{\rtf1\trowd\intbl Jina\cell Umri\cell\row\trowd\intbl Juma\cell 31\cell\row\pard Mwisho}",
                "Jina | Umri\nJuma | 31\nMwisho",
            ),
            (r"{\rtf1 a{\deleted b}{\v c}{\*\unknown d}{\pict 00ff}e\bin3 {{{f}", "aef"),
            ("{\\rtf1 Mstari\r\n mmoja\\\nmpya}", "Mstari mmoja\n\nmpya"),
            (r"{\rtf1{\shp{\*\shpinst{\sp{\sn x}{\sv 1}}{\shptxt Sanduku\par}}}}", "Sanduku\n\n"),
        ] {
            assert_eq!(text(file.as_bytes()).unwrap(), expected, "{file}");
        }
    }

    #[test]
    fn damage_is_refused_or_read() {
        assert_eq!(text(br"{\rtf1 Habari").unwrap_err().0, Reason::Damaged);
        assert_eq!(text(&b"{".repeat(100_000)).unwrap_err().0, Reason::Damaged);
        let good = br"{\rtf1\ansi{\fonttbl{\f1\fcharset128 A;}}\f1\uc1 \'d3\'f1\u7885?ba\bin3 abc{\footnote b}\trowd\cell\row\par}";
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for _ in 0..20_000 {
            let mut bytes = good.to_vec();
            for _ in 0..=random(4) {
                let at = random(bytes.len());
                bytes[at] = b"{}\\'*u-0123456789 \xff"[random(19)];
            }
            let _ = text(&bytes);
        }
    }
}
