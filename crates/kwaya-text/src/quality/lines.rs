//! Lines that are no part of a text: those of the whole site, and what C4
//! (Raffel et al. 2020) takes out. They are removed, and counted in the
//! history of the document; the rest of it stays.

use std::{borrow::Cow, collections::BTreeMap, sync::OnceLock};

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::{
    Level, Model,
    characters::ends_as_sentence,
    words::{mix, words},
};

/// Counters of lines in each of two tables; 16 MB in all.
const COUNTERS: usize = 1 << 21;
/// Longer lines are no menus and no footers.
const SITE_LINE_BYTES_MAX: usize = 1000;
/// A line belongs to the site when it is in so many documents of a source,
/// gentle and strict,
const SITE_DOCUMENTS_MIN: [u64; 2] = [20, 10];
/// and in this part of them.
const SITE_PART: [u64; 2] = [50, 1000];
/// Lines that meet in one counter by chance; four times the mean is more than
/// both of two tables will have.
const CHANCE: u64 = 4;

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
    /// It is in many documents of its source: a menu, a footer, a notice.
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

/// In how many documents of each source a line is: a count-min sketch
/// (Cormode and Muthukrishnan 2005), which never counts too few.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteLines {
    documents: BTreeMap<u64, u64>,
    lines: u64,
    /// The highest counter: often no line can belong to a site.
    highest: u32,
    tables: [Vec<u32>; 2],
}

impl Default for SiteLines {
    fn default() -> Self {
        let table = || vec![0; COUNTERS];
        Self { documents: BTreeMap::new(), lines: 0, highest: 0, tables: [table(), table()] }
    }
}

impl SiteLines {
    /// Counts the lines of a document of `source`, each once.
    pub fn add(&mut self, source: u64, text: &str) {
        self.add_hashes(source, &line_hashes(source, text));
    }

    pub(super) fn add_hashes(&mut self, source: u64, lines: &[u64]) {
        *self.documents.entry(source).or_default() += 1;
        self.lines += lines.len() as u64;
        for &line in lines {
            for (table, slot) in self.tables.iter_mut().zip(slots(line)) {
                table[slot] = table[slot].saturating_add(1);
                self.highest = self.highest.max(table[slot]);
            }
        }
    }

    /// Adds what another has counted in other documents.
    pub fn merge(&mut self, other: &Self) {
        other.documents.iter().for_each(|(source, count)| *self.documents.entry(*source).or_default() += count);
        self.lines += other.lines;
        for (table, others) in self.tables.iter_mut().zip(&other.tables) {
            for (count, other) in table.iter_mut().zip(others) {
                *count = count.saturating_add(*other);
                self.highest = self.highest.max(*count);
            }
        }
    }

    /// As bytes, for [`Self::read`]: the sources with their documents, two sums
    /// (u64), two tables (u32).
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let documents = self.documents.iter().flat_map(|(source, count)| [*source, *count]);
        let sums = [self.documents.len() as u64].into_iter().chain(documents).chain([self.lines, self.highest.into()]);
        sums.for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
        self.tables.iter().for_each(|table| super::write_counts(table, out));
    }

    /// What [`Self::write`] wrote; `None` where that is not what it is.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let mut lines = Self::default();
        for _ in 0..super::read_number(bytes)? {
            let source = super::read_number(bytes)?;
            lines.documents.insert(source, super::read_number(bytes)?);
        }
        lines.lines = super::read_number(bytes)?;
        lines.highest = super::read_number(bytes)?.try_into().ok()?;
        for table in &mut lines.tables {
            super::read_counts(table, bytes)?;
        }
        Some(lines)
    }

    /// How many documents of `source` a line must be in to belong to it.
    fn limit(&self, source: u64, level: usize) -> u64 {
        let documents = self.documents.get(&source).copied().unwrap_or(0);
        SITE_DOCUMENTS_MIN[level].max(documents / SITE_PART[level]) + CHANCE * self.lines / COUNTERS as u64
    }

    fn count(&self, line: u64) -> u64 {
        let counts = self.tables.iter().zip(slots(line)).map(|(table, slot)| table[slot]);
        counts.min().unwrap_or(0).into()
    }
}

fn slots(line: u64) -> [usize; 2] {
    [line as usize % COUNTERS, (line >> 32) as usize % COUNTERS]
}

/// The hashes of the lines of a document, each once.
pub(super) fn line_hashes(source: u64, text: &str) -> Vec<u64> {
    let mut hashes: Vec<u64> = text.split('\n').filter_map(|line| line_hash(source, line)).collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// The hash of a line of `source`, whatever numbers are in it, as pages and
/// dates are; `None` for what is no line of words.
fn line_hash(source: u64, line: &str) -> Option<u64> {
    let line = line.trim().as_bytes();
    let letter = |byte: &u8| byte.is_ascii_alphabetic() || *byte >= 0x80;
    if line.len() > SITE_LINE_BYTES_MAX || !line.iter().any(letter) {
        return None;
    }
    // Not `any`, which stops at the first and so cannot take many at a time.
    if !line.iter().fold(false, |digit, byte| digit | byte.is_ascii_digit()) {
        return Some(hash_folded(source, line));
    }
    let mut plain: Vec<u8> = line.iter().map(|byte| if byte.is_ascii_digit() { b'0' } else { *byte }).collect();
    plain.dedup_by(|a, b| (*a, *b) == (b'0', b'0'));
    Some(hash_folded(source, &plain))
}

/// The hash of bytes in which large letters of ASCII are small ones; of signs
/// of ASCII some count as others.
fn hash_folded(seed: u64, bytes: &[u8]) -> u64 {
    let fold = |hash: u64, eight: u64| {
        let small = eight | (!eight & 0x8080_8080_8080_8080) >> 2;
        let hash = (hash ^ small).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^ hash >> 32
    };
    let (eights, rest) = bytes.as_chunks::<8>();
    let hash = eights.iter().fold(seed, |hash, eight| fold(hash, u64::from_le_bytes(*eight)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(fold(hash, u64::from_le_bytes(last)) ^ bytes.len() as u64)
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
        let in_site = lines.limit(source, level);
        let any_in_site = u64::from(lines.highest) >= in_site;
        let ended = strict && model.is_some_and(Model::ends_lines);
        let mut notices = notices(text).peekable();
        let (mut removed, mut cut, mut lorem_ipsum) = (BTreeMap::new(), Vec::new(), 0);
        let mut end = 0;
        for whole in text.split_inclusive('\n') {
            let start = end;
            end += whole.len();
            let line = whole.trim_end();
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
            let of_site = any_in_site && line_hash(source, line).is_some_and(|line| lines.count(line) >= in_site);
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
    for line in text.split('\n') {
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

/// The notices in a text, with their places.
fn notices(text: &str) -> impl Iterator<Item = (usize, Notice)> + '_ {
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

    #[test]
    fn lines_of_a_site_are_removed_from_it_alone() {
        let page =
            |i: u32| format!("Ukurasa {i} wa 80\n\nHabari ya kipekee {}\n\nNyumbani | Wasiliana nasi", words_of(i));
        let (mut odd, mut even, mut whole) = (SiteLines::default(), SiteLines::default(), SiteLines::default());
        for i in 0..40 {
            whole.add(7, &page(i));
            if i % 2 == 0 { &mut even } else { &mut odd }.add(7, &page(i));
        }
        odd.merge(&even);
        assert!(odd == whole);
        let text = page(3);
        let cleaned = Cleaned::of(&text, Level::Gentle, (&whole, 7), None);
        assert_eq!(cleaned.text, format!("Habari ya kipekee {}", words_of(3)));
        assert_eq!(cleaned.removed, BTreeMap::from([(LineRule::Site, 2)]));
        assert_eq!(Cleaned::of(&text, Level::Gentle, (&whole, 8), None).text, text);
        // In half as many documents they may be anything.
        assert_eq!(Cleaned::of(&text, Level::Gentle, (&even, 7), None).removed.len(), 1);
        let mut few = SiteLines::default();
        (0..19).for_each(|i| few.add(7, &page(i)));
        assert_eq!(Cleaned::of(&text, Level::Gentle, (&few, 7), None).text, text);
    }

    fn words_of(i: u32) -> String {
        ["moja", "mbili", "tatu", "nne", "tano", "sita", "saba"]
            .iter()
            .cycle()
            .skip(i as usize % 7)
            .take(3 + i as usize / 7)
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    }
}
