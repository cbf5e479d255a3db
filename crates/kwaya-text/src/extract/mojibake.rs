//! Mending text that was UTF-8, was read as Windows-1252 and saved again, once
//! or several times: `Ã©` for `é`, `â€™` for `’`.
//!
//! Each such character of the text is a byte, and several in a row are one
//! character of UTF-8. Good text has such rows too, though few: `É”` or `CAFÉ®`.
//! So a text is mended only if it has rows that are never seen in good text,
//! and a line only if next to all that is not ASCII in it is such a row.

/// A text that was damaged so often is not looked at again.
const ROUNDS_MAX: u64 = 4;
/// In a line that is mended, rows for each other character that is not ASCII.
const ROWS_FOR_OTHERS: u64 = 4;
/// Rows that good text may have are mended in a text with so many that it
/// may not, if they stand for Latin letters.
const STRONG_MIN: u64 = 3;

/// The text mended, and how many characters were; `None` when it is good.
pub(crate) fn mend(text: &str) -> Option<(String, u64)> {
    let (mut text, mut count) = once(text)?;
    for _ in 1..ROUNDS_MAX {
        match once(&text) {
            Some((again, _)) => text = again,
            None => break,
        }
    }
    // In the last round each character is mended once.
    count = count.min(text.chars().filter(|c| !c.is_ascii()).count() as u64);
    Some((text, count))
}

/// A text mended once.
fn once(text: &str) -> Option<(String, u64)> {
    // Each row begins with a character from `Â` to `ô`, and goes on beyond ASCII.
    let bytes = text.as_bytes();
    if !memchr::memchr_iter(0xc3, bytes).any(|at| bytes.get(at + 2).is_some_and(|next| *next >= 0xc2)) {
        return None;
    }
    let strong = text.lines().map(|line| Line::of(line).strong).sum::<u64>();
    if strong == 0 {
        return None;
    }
    let (mut out, mut count) = (String::with_capacity(text.len()), 0);
    for line in text.split_inclusive('\n') {
        let found = Line::of(line);
        let enough = found.strong > 0 || strong >= STRONG_MIN && found.latin == found.rows;
        if found.rows > 0 && enough && found.rows >= ROWS_FOR_OTHERS * found.others {
            count += found.rows;
            rows(line, &mut |piece| match piece {
                Piece::Row(character, _) => out.push(character),
                Piece::Other(character) => out.push(character),
            });
        } else {
            out.push_str(line);
        }
    }
    (count > 0).then_some((out, count))
}

/// What a line has that is not ASCII.
#[derive(Default)]
struct Line {
    /// Characters that make one character of UTF-8.
    rows: u64,
    /// Those that good text does not have.
    strong: u64,
    /// Those that stand for Latin letters, their marks and punctuation.
    latin: u64,
    /// Characters that make none.
    others: u64,
}

impl Line {
    fn of(line: &str) -> Self {
        let mut found = Self::default();
        if !line.is_ascii() {
            rows(line, &mut |piece| match piece {
                Piece::Row(character, strong) => {
                    found.rows += 1;
                    let latin =
                        matches!(character, '\u{80}'..='\u{36f}' | '\u{1e00}'..='\u{1eff}' | '\u{2000}'..='\u{206f}');
                    found.latin += u64::from(latin);
                    found.strong += u64::from(strong);
                }
                Piece::Other(character) => found.others += u64::from(!character.is_ascii()),
            });
        }
        found
    }
}

enum Piece {
    /// The character that a row of characters stands for, and whether good text
    /// does not have such a row.
    Row(char, bool),
    Other(char),
}

fn rows(line: &str, take: &mut impl FnMut(Piece)) {
    let (mut rest, mut before) = (line, ' ');
    while let Some(first) = rest.chars().next() {
        match row(rest, before) {
            Some((character, length, strong)) => {
                take(Piece::Row(character, strong));
                before = character;
                rest = &rest[length..];
            }
            None => {
                take(Piece::Other(first));
                before = first;
                rest = &rest[first.len_utf8()..];
            }
        }
    }
}

/// The character that the text begins with as a row of bytes, the length of the
/// row in the text, and whether it is strong.
fn row(text: &str, before: char) -> Option<(char, usize, bool)> {
    let mut characters = text.chars();
    let lead = characters.next()?;
    let count = match byte(lead)? {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    let mut bytes = [0; 4];
    let (mut length, mut strong) = (0, false);
    for (at, character) in text.chars().take(count).enumerate() {
        bytes[at] = byte(character)?;
        length += character.len_utf8();
        strong |= at > 0 && !may_follow(lead, character);
    }
    let character = str::from_utf8(&bytes[..count]).ok()?.chars().next()?;
    let after = text[length..].chars().next().unwrap_or(' ');
    // Inside a word, capitals and punctuation are not where they may be; `Úžas`
    // is a word.
    let letters = text.chars().skip(1).take(count - 1).all(char::is_alphabetic);
    let inside =
        lead.is_uppercase() && after.is_lowercase() && (before.is_lowercase() || !before.is_uppercase() && !letters);
    Some((character, length, strong || inside))
}

/// Whether a character may follow a letter beyond ASCII in good text: the
/// punctuation after a word, signs such as ® and °, and letters.
fn may_follow(lead: char, character: char) -> bool {
    match character {
        '‚' | '„' | '…' | '‹' | '›' | '‘' | '’' | '“' | '”' | '•' | '–' | '—' | '\u{a0}' | '«' | '»' | '·' => {
            true
        }
        // These are letters for Unicode, and follow figures.
        'ª' | 'º' => false,
        // `Ã©` is the commonest row of all; `ASSOCIAÇÃ©` is no word.
        '™' | '©' | '®' | '°' | '²' | '³' | '¹' | '§' | '´' | '¡' | '¿' => !matches!(lead, 'Ã' | 'Â'),
        _ => character.is_alphabetic(),
    }
}

/// The byte that Windows-1252 has for a character beyond ASCII. Bytes that it
/// does not know are control characters, as browsers have it.
fn byte(character: char) -> Option<u8> {
    const UPPER: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match character {
        '\u{80}'..='\u{ff}' => Some(character as u8),
        '\u{152}'..='\u{2122}' => UPPER.iter().position(|c| *c == character).map(|at| 0x80 + at as u8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::WINDOWS_1252;

    use super::*;

    fn damage(text: &str) -> String {
        WINDOWS_1252.decode_without_bom_handling(text.as_bytes()).0.into_owned()
    }

    #[test]
    fn text_read_wrongly_once_or_more_is_mended() {
        for text in [
            "L’été, c’est déjà là : « à bientôt ».",
            "Ìjọba ìpínlẹ̀ Ọ̀yọ́ ti kéde pé àwọn àgbẹ̀ yóò gba irúgbìn tuntun.",
            "Ụmụ akwụkwọ na-agụ akwụkwọ n’ụlọ akwụkwọ.",
            "Ɗan ƙasa ya ce ɓarna ba ta da amfani.",
            "በቆሎ የሚሰበሰበው ቅጠሎቹ ቢጫ ሲሆኑ ነው።",
            "मक्का तब काटा जाता है जब पत्ते पीले हो जाते हैं।",
            "ذرة 🌽 – “sawa”…",
            "Wamesema: “Mvua imenyesha” – leo.",
        ] {
            let (once, twice) = (damage(text), damage(&damage(text)));
            for damaged in [&once, &twice, &damage(&twice)] {
                let (mended, count) = mend(damaged).unwrap();
                assert_eq!(mended, text);
                assert!(count > 0 && count <= text.chars().count() as u64);
            }
            assert_eq!(mend(text), None);
        }
    }

    #[test]
    fn good_text_stays() {
        for text in [
            "",
            "Plain ASCII, nothing else.",
            "SMARTÉ™ et NESCAFÉ® au CAFÉ…",
            "Il a crié « ÉTÉ », puis “BEAUTÉ”…",
            "« Voilà…» Ça m’a plu, la beauté…”",
            "MAÇÃ” E AVELÃ… NÃO, IRMÃ»",
            "GROSS- UND KLEINSCHREIBUNG: „Spaß“, „groß“ – ‚weiß‘",
            "KŇAŽÍŽ a ÚŽAS, Úžasný, Straße“",
            "Ð Ñ ñ ð þ Þ æ Æ",
            "Ó” É— Ô… Ü» Å° Ä²",
            "5 °C, 10 µm, ±3 £ ¤ §4 ¶ ½ ¼",
            "Một người Việt Nam nói: “Tôi là nông dân”",
        ] {
            assert_eq!(mend(text), None, "{text}");
            assert_eq!(mend(&text.repeat(5)), None, "{text}");
        }
    }

    #[test]
    fn only_the_damaged_lines_of_a_text_change() {
        let good = "Ìjọba ti kéde pé “àwọn àgbẹ̀” yóò gba irúgbìn.";
        let text = format!("{good}\n{}\n{good}\n", damage(good));
        assert_eq!(mend(&text).unwrap().0, format!("{good}\n{good}\n{good}\n"));
    }
}
