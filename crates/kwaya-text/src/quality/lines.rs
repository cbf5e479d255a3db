//! Lines that are no part of a text: those of the whole site, and what C4
//! (Raffel et al. 2020) takes out. They are removed, and counted in the
//! history of the document; the rest of it stays.

use std::{borrow::Cow, collections::BTreeMap, sync::OnceLock};

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::{Level, Model, SiteLines, characters::ends_as_sentence, words::words};
use crate::clean::lines as split;

/// C4: a word of more characters is none.
const WORD_CHARACTERS_MAX: usize = 1000;
/// C4: lines of fewer words are none.
const LINE_WORDS_MIN: usize = 3;
/// Longer lines may talk about cookies and JavaScript, at the gentle level.
const NOTICE_BYTES_MAX: usize = 250;

/// Why a line was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineRule {
    /// It is in many documents of its site or folder: a menu, a footer, a notice
    /// (`docs/duplicates.md`).
    Site,
    /// It has a word of more than 1000 characters.
    LongWord,
    /// It tells of JavaScript.
    Script,
    /// It tells of cookies or terms of use.
    Policy,
    /// It holds no end of a sentence, in a language whose lines do.
    Unended,
    /// It has fewer than three words, in such a language.
    FewWords,
}

impl LineRule {
    /// All, in the order in which they are asked.
    pub const ALL: [Self; 6] = [Self::Site, Self::LongWord, Self::Script, Self::Policy, Self::Unended, Self::FewWords];

    /// The stable name: `long-word`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::LongWord => "long-word",
            Self::Script => "script",
            Self::Policy => "policy",
            Self::Unended => "unended",
            Self::FewWords => "few-words",
        }
    }
}

/// A text without the lines that are no part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cleaned<'a> {
    /// What is left, in normal form.
    pub text: Cow<'a, str>,
    /// The bytes of what was removed.
    pub removed_bytes: u64,
    /// Lines that were removed, by reason.
    pub removed: BTreeMap<LineRule, u64>,
    /// How often the text says `lorem ipsum`.
    pub(super) lorem_ipsum: u32,
}

impl<'a> Cleaned<'a> {
    /// A text as it is.
    pub fn untouched(text: &'a str) -> Self {
        let lorem_ipsum = notices(text).filter(|(_, notice)| *notice == Notice::Filler).count() as u32;
        Self { text: Cow::Borrowed(text), removed_bytes: 0, removed: BTreeMap::new(), lorem_ipsum }
    }

    /// `text` of `source`, without the lines that `level` removes. `model` is
    /// that of its language.
    pub fn of(text: &'a str, level: Level, site: (&SiteLines, u64), model: Option<&Model>) -> Self {
        let Some(level) = (level as usize).checked_sub(1) else { return Self::untouched(text) };
        let strict = level == 1;
        let (lines, source) = site;
        let mut of_site = lines.of_site(source, text, level).into_iter();
        let ended = strict && model.is_some_and(Model::ends_lines);
        let mut notices = notices(text).peekable();
        let (mut removed, mut cut, mut lorem_ipsum) = (BTreeMap::new(), Vec::new(), 0);
        let mut end = 0;
        for line in split(text) {
            let start = end;
            end = text.len().min(start + line.len() + 1);
            let line = line.trim_end();
            let of_site = of_site.next().unwrap_or(false);
            let mut notice = None;
            while let Some((_, found)) = notices.next_if(|(at, _)| *at < end) {
                lorem_ipsum += u32::from(found == Notice::Filler);
                let told = match found {
                    Notice::Filler => None,
                    Notice::Script(plainly) | Notice::Policy(plainly) if !strict && !plainly => None,
                    Notice::Script(_) => Some(LineRule::Script),
                    Notice::Policy(_) => Some(LineRule::Policy),
                };
                notice = notice.or(told.filter(|_| strict || line.len() <= NOTICE_BYTES_MAX));
            }
            if line.is_empty() {
                continue;
            }
            let rule = if of_site {
                Some(LineRule::Site)
            } else if line.len() > WORD_CHARACTERS_MAX && has_long_word(line) {
                Some(LineRule::LongWord)
            } else if notice.is_some() {
                notice
            } else if ended && !holds_sentence(line) {
                Some(LineRule::Unended)
            } else if ended && has_few_words(line) {
                Some(LineRule::FewWords)
            } else {
                None
            };
            if let Some(rule) = rule {
                *removed.entry(rule).or_default() += 1;
                cut.push(start..end);
            }
        }
        let without = |cut: &[std::ops::Range<usize>]| {
            let (mut out, mut end) = (String::with_capacity(text.len()), 0);
            for part in cut {
                out.push_str(&text[end..part.start]);
                end = part.end;
            }
            out.push_str(&text[end..]);
            join_blank_lines(&out)
        };
        let kept = if cut.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(without(&cut)) };
        let removed_bytes = (text.len() - kept.len()) as u64;
        Self { text: kept, removed_bytes, removed, lorem_ipsum }
    }
}

/// At most one empty line in a row, and none at the ends.
fn join_blank_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut blank = false;
    for line in split(text) {
        if line.is_empty() {
            blank = true;
            continue;
        }
        if !out.is_empty() {
            out.push_str(if blank { "\n\n" } else { "\n" });
        }
        out.push_str(line);
        blank = false;
    }
    out
}

/// A run of characters of a script that parts words, without a blank, of more
/// than 1000.
fn has_long_word(line: &str) -> bool {
    line.split_whitespace().any(|run| {
        run.len() > WORD_CHARACTERS_MAX && words(run).iter().any(|word| word.characters as usize > WORD_CHARACTERS_MAX)
    })
}

/// Whether a sentence ends with the line or in it. C4 asks for the former; but
/// a paragraph whose last full stop was lost is no menu.
fn holds_sentence(line: &str) -> bool {
    ends_as_sentence(line) || line.split_whitespace().any(ends_as_sentence)
}

fn has_few_words(line: &str) -> bool {
    line.split_whitespace().nth(LINE_WORDS_MIN - 1).is_none() && words(line).len() < LINE_WORDS_MIN
}

/// What the phrases of C4 tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notice {
    /// `lorem ipsum`.
    Filler,
    /// JavaScript; `true` where the reader is asked to do something about it.
    Script(bool),
    /// Cookies and terms; `true` where that is all the line can be about.
    Policy(bool),
}

/// Three letters of each phrase of [`notices`]; few texts have any.
const PARTS: [[u8; 3]; 5] = [*b"psu", *b"vas", *b"kie", *b"vac", *b"rms"];

/// Whether a text has some of [`PARTS`], looked for many bytes at a time.
fn has_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(second), Some(third)) = (bytes.get(1..), bytes.get(2..)) else { return false };
    bytes.iter().zip(second).zip(third).fold(false, |any, ((a, b), c)| {
        let is = |part: [u8; 3]| (a | 0x20 == part[0]) & (b | 0x20 == part[1]) & (c | 0x20 == part[2]);
        any | is(PARTS[0]) | is(PARTS[1]) | is(PARTS[2]) | is(PARTS[3]) | is(PARTS[4])
    })
}

/// The notices in a text, with their places.
fn notices(text: &str) -> impl Iterator<Item = (usize, Notice)> + '_ {
    let text = if has_part(text) { text } else { "" };
    static PATTERN: OnceLock<Regex> = OnceLock::new();
    let pattern = PATTERN.get_or_init(|| {
        let pattern = "(?i-u)lorem ipsum\
            |(?:enable|activate|disabled?|without|requires?|turn on) javascript|javascript (?:is |must be |has been )?(?:disabled|required|enabled|turned)\
            |javascript\
            |cookie policy|uses cookies|use of cookies|use cookies\
            |privacy policy|terms of use";
        Regex::new(pattern).expect("the pattern is well formed")
    });
    pattern.find_iter(text).map(|found| {
        let told = found.as_str();
        let starts = |with: &str| told.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
        let notice = if starts("lorem") {
            Notice::Filler
        } else if told.len() == "javascript".len() && starts("javascript") {
            Notice::Script(false)
        } else if starts("privacy") || starts("terms") {
            Notice::Policy(false)
        } else if told.to_ascii_lowercase().contains("cookie") {
            Notice::Policy(true)
        } else {
            Notice::Script(true)
        };
        (found.start(), notice)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(text: &str, level: Level, model: Option<&Model>) -> (String, Vec<(LineRule, u64)>) {
        let cleaned = Cleaned::of(text, level, (&SiteLines::default(), 0), model);
        assert_eq!(cleaned.removed_bytes as usize + cleaned.text.len(), text.len());
        (cleaned.text.into_owned(), cleaned.removed.into_iter().collect())
    }

    #[test]
    fn notices_are_removed_and_talk_about_them_stays() {
        let text = "Mvua ilinyesha.\n\nThis site uses cookies.\n\nPlease enable JavaScript to go on.\n\nWe teach JavaScript on Mondays.";
        let (kept, removed) = clean(text, Level::Gentle, None);
        assert_eq!(kept, "Mvua ilinyesha.\n\nWe teach JavaScript on Mondays.");
        assert_eq!(removed, [(LineRule::Script, 1), (LineRule::Policy, 1)]);
        assert_eq!(clean(text, Level::Strict, None).0, "Mvua ilinyesha.");
        assert_eq!(clean(text, Level::Off, None).0, text);
        let long = format!("{} uses cookies.", "Habari za leo.".repeat(30));
        assert_eq!(clean(&long, Level::Gentle, None).0, long);
        assert_eq!(Cleaned::untouched("Lorem Ipsum dolor. lorem ipsum").lorem_ipsum, 2);
    }

    #[test]
    fn every_phrase_is_found() {
        for text in [
            "lorem ipsum",
            "Please ENABLE JavaScript",
            "javascript is disabled",
            "JavaScript",
            "Cookie Policy",
            "uses cookies",
            "USE OF COOKIES",
            "use cookies",
            "privacy policy",
            "Terms of Use",
        ] {
            for around in [text.to_owned(), format!("Mvua {text} inanyesha")] {
                assert_eq!(notices(&around).count(), 1, "{around}");
            }
        }
        assert_eq!(["", "r", "rm", "rms", "Mvua"].map(has_part), [false, false, false, true, false]);
    }

    #[test]
    fn unended_lines_go_where_lines_end() {
        let mut ends = Model::default();
        ends.add(&format!("{}.", "neno ".repeat(30)));
        let text = "Habari za leo\nMvua kubwa ilinyesha jana.\nNdiyo.\n你好。";
        let (kept, removed) = clean(text, Level::Strict, Some(&ends));
        assert_eq!(kept, "Mvua kubwa ilinyesha jana.");
        assert_eq!(removed, [(LineRule::Unended, 1), (LineRule::FewWords, 2)]);
        let mut never = Model::default();
        never.add(&"คำ".repeat(60));
        assert_eq!(clean(text, Level::Strict, Some(&never)).0, text);
        assert_eq!(clean(text, Level::Gentle, Some(&ends)).0, text);
    }

    #[test]
    fn words_without_end_are_removed_but_not_scripts_without_blanks() {
        let thai = "มนุษย์ทั้งหลายเกิดมามีอิสระ".repeat(20);
        let text = format!("{}\n{thai}", "x".repeat(1001));
        assert_eq!(clean(&text, Level::Gentle, None), (thai, vec![(LineRule::LongWord, 1)]));
    }
}
