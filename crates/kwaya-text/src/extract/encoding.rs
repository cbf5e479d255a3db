//! Which encoding the bytes of a text are in: a mark, UTF-8, UTF-16 without a
//! mark, what the file itself says, and else what `chardetng` finds, as in a
//! browser.

use std::sync::OnceLock;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};
use regex::bytes::Regex;

/// So far into a file it may say what encoding it is in.
const DECLARATION_BYTES: usize = 4096;
/// So much of a file is looked at for UTF-16 without a mark.
const SAMPLE_BYTES: usize = 16 << 10;
/// With so many good characters of several bytes for each bad one, a text is
/// UTF-8 with damage, not another encoding.
const GOOD_FOR_BAD: usize = 20;
/// Of UTF-16 that is text, at least this share are letters, marks, digits,
/// blanks and plain punctuation, and this share are blanks or line ends: there
/// are some even where words are not parted.
const READABLE_MIN: f64 = 0.9;
const BLANKS_MIN: f64 = 0.005;

/// The text of a file and the encoding that it was in, in the names of the Encoding
/// Standard and in small letters; `None` for UTF-8. Any bytes are text in some
/// encoding, so nothing is refused here.
pub(crate) fn decode(bytes: &[u8]) -> (String, Option<String>) {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return decoded(encoding, &bytes[mark..]);
    }
    if let Some(encoding) = utf16(bytes) {
        return decoded(encoding, bytes);
    }
    let declared = declared(bytes);
    match str::from_utf8(bytes) {
        // ISO-2022-JP is ASCII with escapes.
        Ok(text) if !(text.is_ascii() && bytes.windows(2).any(|pair| pair == b"\x1b$")) => {
            return (text.to_owned(), None);
        }
        Ok(_) => return decoded(ISO_2022_JP, bytes),
        Err(_) if is_damaged_utf8(bytes) => return decoded(UTF_8, bytes),
        Err(_) => {}
    }
    // A page says what it is and is often wrong: it is believed when its bytes
    // are characters in that encoding.
    if let Some(encoding) = declared
        && let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(bytes)
    {
        return (text.into_owned(), Some(name(encoding)));
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    decoded(detector.guess(None, Utf8Detection::Deny), bytes)
}

fn decoded(encoding: &'static Encoding, bytes: &[u8]) -> (String, Option<String>) {
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    (text.into_owned(), (encoding != UTF_8).then(|| name(encoding)))
}

fn name(encoding: &'static Encoding) -> String {
    encoding.name().to_ascii_lowercase()
}

/// Whether the bytes are UTF-16, with a mark or without.
pub(crate) fn is_utf16(bytes: &[u8]) -> bool {
    match Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding != UTF_8,
        None => utf16(bytes).is_some(),
    }
}

/// The order of UTF-16 without a mark. Other text has no NUL, and in UTF-16
/// every blank and line end has one.
fn utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = &bytes[..bytes.len().min(SAMPLE_BYTES) & !1];
    if !sample.contains(&0) || sample.windows(4).any(|four| four == [0; 4]) {
        return None;
    }
    let blanks = |encoding: &'static Encoding| {
        let text = encoding.decode_without_bom_handling(sample).0;
        let (mut characters, mut readable, mut blanks) = (0_u32, 0_u32, 0_u32);
        for character in text.chars() {
            characters += 1;
            let blank = matches!(character, ' ' | '\n' | '\r' | '\t');
            blanks += u32::from(blank);
            readable += u32::from(
                blank
                    || character.is_alphanumeric()
                    || character.is_ascii_punctuation()
                    || {
                        // Marks and the punctuation of scripts and of typography.
                        matches!(character, '\u{300}'..='\u{1fff}' | '\u{2010}'..='\u{2027}' | '\u{3000}'..='\u{30ff}' | '\u{ff00}'..='\u{ffef}')
                    },
            );
        }
        let share = |part: u32| f64::from(part) / f64::from(characters.max(1));
        (share(readable) >= READABLE_MIN && share(blanks) >= BLANKS_MIN).then_some((blanks, encoding))
    };
    let found = [UTF_16LE, UTF_16BE].into_iter().filter_map(blanks);
    found.max_by_key(|(blanks, _)| *blanks).map(|(_, encoding)| encoding)
}

/// UTF-8 in which a few characters are broken.
fn is_damaged_utf8(bytes: &[u8]) -> bool {
    let (mut good, mut bad) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        good += chunk.valid().bytes().filter(|byte| *byte >= 0xc0).count();
        bad += usize::from(!chunk.invalid().is_empty());
    }
    good >= bad * GOOD_FOR_BAD
}

/// What the beginning of an HTML page, an XML file or a PO file says.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    static PATTERN: OnceLock<Regex> = OnceLock::new();
    let pattern = PATTERN.get_or_init(|| {
        let pattern = r#"(?i-u)(?:<\?xml[^>]{0,200}?\bencoding|<meta\b[^>]{0,200}?\bcharset|"Content-Type: text/plain; charset)\s*=\s*["']?\s*([a-z0-9_:.-]{1,40})"#;
        Regex::new(pattern).expect("the pattern is well formed")
    });
    let head = &bytes[..bytes.len().min(DECLARATION_BYTES)];
    let label = pattern.captures(head)?.get(1)?.as_bytes();
    match Encoding::for_label(label)? {
        // These words are ASCII, so the file is not in UTF-16; and nobody writes
        // in the encoding that is named for the user.
        encoding if encoding == UTF_16LE || encoding == UTF_16BE || encoding == UTF_8 => None,
        encoding if encoding == X_USER_DEFINED => Some(WINDOWS_1252),
        encoding => Some(encoding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLES: [(&str, &str); 12] = [
        ("windows-1252", "Le maïs est récolté après la saison des pluies, à l’époque où les épis sont déjà séchés."),
        (
            "windows-1250",
            "Kukuřice se sklízí, když zežloutnou listy a zrno ztvrdne; příliš žluťoučký kůň úpěl ďábelské ódy.",
        ),
        ("windows-1251", "Кукурузу собирают, когда листья желтеют, а зерно становится твёрдым и сухим."),
        ("windows-1253", "Το καλαμπόκι συγκομίζεται όταν τα φύλλα κιτρινίζουν και ο σπόρος σκληραίνει."),
        ("windows-1254", "Mısır, yapraklar sararıp taneler sertleştiğinde hasat edilir; çiftçiler güneşte kurutur."),
        ("windows-1255", "קוצרים את התירס כאשר העלים מצהיבים והגרעינים מתקשים ומתייבשים."),
        ("windows-1256", "يُحصد الذرة عندما تصفر الأوراق وتجف الحبوب وتصبح صلبة في الحقل."),
        ("koi8-u", "Кукурузу собирают, когда листья желтеют, а зерно становится твёрдым и сухим."),
        ("gbk", "玉米在叶子变黄、籽粒变硬以后收获，农民把它放在太阳下晒干。"),
        ("big5", "玉米在葉子變黃、籽粒變硬以後收穫，農民把它放在太陽下曬乾。"),
        ("shift_jis", "とうもろこしは、葉が黄色くなり、粒が硬くなってから収穫します。"),
        ("euc-kr", "옥수수는 잎이 누렇게 되고 알이 단단해지면 거두어 햇볕에 말린다."),
    ];

    #[test]
    fn old_encodings_are_found() {
        for (label, text) in SAMPLES {
            let encoding = Encoding::for_label(label.as_bytes()).unwrap();
            let (bytes, _, lost) = encoding.encode(text);
            assert!(!lost, "{label}");
            assert_eq!(decode(&bytes), (text.to_owned(), Some(label.to_owned())));
        }
        for (label, at) in [("euc-jp", 10), ("iso-8859-2", 1), ("iso-8859-7", 3), ("iso-8859-5", 2), ("ibm866", 2)] {
            let encoding = Encoding::for_label(label.as_bytes()).unwrap();
            let (bytes, ..) = encoding.encode(SAMPLES[at].1);
            assert_eq!(decode(&bytes).0, SAMPLES[at].1, "{label}");
        }
        // Three escapes that are ASCII for whoever does not know them.
        let (bytes, ..) = encoding_rs::ISO_2022_JP.encode(SAMPLES[10].1);
        assert_eq!(decode(&bytes).0, SAMPLES[10].1);
    }

    #[test]
    fn utf16_is_found_with_a_mark_and_without() {
        let amharic = "በቆሎ የሚሰበሰበው ቅጠሎቹ ቢጫ ሲሆኑ ነው።\nእህሉም ሲደርቅ።";
        for text in SAMPLES.map(|(_, text)| text).into_iter().chain([amharic, "Mahindi huvunwa yakikauka."]) {
            let text = format!("{text}\n");
            for (mark, order) in [("\u{feff}", true), ("\u{feff}", false), ("", true), ("", false)] {
                let units = mark.encode_utf16().chain(text.encode_utf16());
                let bytes: Vec<u8> =
                    units.flat_map(|unit| if order { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect();
                let name = if order { "utf-16le" } else { "utf-16be" };
                assert!(is_utf16(&bytes));
                assert_eq!(decode(&bytes), (text.clone(), Some(name.to_owned())));
            }
        }
        for junk in
            [&b"\0\0\0\0\x01\x02"[..], b"RIFF\0\0\0\x01WAVE\x10\0 \0", &[0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 9, 0]]
        {
            assert!(!is_utf16(junk), "{junk:?}");
        }
    }

    #[test]
    fn what_a_file_says_is_believed_if_it_can_be() {
        let russian = "Кукуруза";
        let (bytes, ..) = encoding_rs::ISO_8859_5.encode(russian);
        for head in [
            "<meta charset=\"iso-8859-5\">",
            "<?xml version='1.0' encoding='ISO-8859-5'?>",
            "<meta http-equiv=content-type content=\"text/html; charset=iso-8859-5\">",
            "\"Content-Type: text/plain; charset=ISO-8859-5\\n\"\n",
        ] {
            let file = [head.as_bytes(), &bytes].concat();
            assert_eq!(decode(&file), (format!("{head}{russian}"), Some("iso-8859-5".to_owned())));
        }
        // UTF-8 is UTF-8, whatever is said of it.
        let page = "<meta charset=iso-8859-1>Ìjọba";
        assert_eq!(decode(page.as_bytes()), (page.to_owned(), None));
        let wrong = [&b"<meta charset=gbk>"[..], &WINDOWS_1252.encode(SAMPLES[0].1).0].concat();
        assert!(decode(&wrong).0.ends_with(SAMPLES[0].1));
    }

    #[test]
    fn a_broken_character_does_not_change_the_encoding() {
        let text = "Ìjọba ìpínlẹ̀ Ọ̀yọ́ ti kéde pé àwọn àgbẹ̀ yóò gba irúgbìn tuntun.";
        let mut bytes = text.as_bytes().to_vec();
        bytes[1] = b'?';
        let (decoded, encoding) = decode(&bytes);
        assert_eq!((decoded.matches('\u{fffd}').count(), encoding), (1, None));
        assert!(decoded.contains("Ọ̀yọ́ ti kéde"));
    }

    #[test]
    fn any_bytes_are_text() {
        let mut state = 1_u64;
        for length in 0..2000 {
            let bytes: Vec<u8> = (0..length % 97)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 40) as u8
                })
                .collect();
            let _ = (decode(&bytes), is_utf16(&bytes));
        }
    }
}
