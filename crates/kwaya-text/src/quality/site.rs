//! Lines of a whole site: those that are in many of its documents, counted in a
//! sketch of fixed size.

use std::{collections::BTreeMap, mem::replace};

use super::{read_counts, read_number, words::mix, write_counts};
use crate::clean::lines as split;

/// Counters of lines in each of two tables; 16 MB in all.
const COUNTERS: usize = 1 << 21;
/// Longer lines are no menus and no footers.
const SITE_LINE_BYTES_MAX: usize = 1000;
/// Shorter lines may be said in many documents and belong to each: headings, a
/// refrain, the yes and no of a dialogue. At the gentle level one belongs to the site
/// only if it stands beside the same line, or at the same end of a text, in as many
/// documents, as those of menus and footers do.
const ALONE_BYTES_MIN: usize = 100;
/// What stands before the first line and after the last.
const ENDS: [u64; 2] = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344];
/// A line belongs to the site when it is in so many documents of a source,
/// gentle and strict,
const SITE_DOCUMENTS_MIN: [u64; 2] = [20, 10];
/// and in this part of them.
const SITE_PART: [u64; 2] = [50, 1000];
/// Lines that meet in one counter by chance; four times the mean is more than
/// both of two tables will have.
const CHANCE: u64 = 4;

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
        self.tables.iter().for_each(|table| write_counts(table, out));
    }

    /// What [`Self::write`] wrote; `None` where that is not what it is.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let mut lines = Self::default();
        for _ in 0..read_number(bytes)? {
            let source = read_number(bytes)?;
            lines.documents.insert(source, read_number(bytes)?);
        }
        lines.lines = read_number(bytes)?;
        lines.highest = read_number(bytes)?.try_into().ok()?;
        for table in &mut lines.tables {
            read_counts(table, bytes)?;
        }
        Some(lines)
    }

    /// How many documents of `source` a line must be in to belong to it.
    fn limit(&self, source: u64, level: usize) -> u64 {
        let documents = self.documents.get(&source).copied().unwrap_or(0);
        SITE_DOCUMENTS_MIN[level].max(documents / SITE_PART[level]) + CHANCE * self.lines / COUNTERS as u64
    }

    /// For each line of a text whether it belongs to the site.
    pub(super) fn of_site(&self, source: u64, text: &str, level: usize) -> Vec<bool> {
        let limit = self.limit(source, level);
        // Often there is no line that can.
        if u64::from(self.highest) < limit {
            return Vec::new();
        }
        let many = |hash: u64| self.count(hash) >= limit;
        let mut of_site = Vec::new();
        with_neighbours(source, text, |line| {
            of_site.push(line.is_some_and(|Neighbours { hash, short, pairs }| {
                many(hash) && (level > 0 || !short || pairs.into_iter().any(many))
            }));
        });
        of_site
    }

    fn count(&self, line: u64) -> u64 {
        let counts = self.tables.iter().zip(slots(line)).map(|(table, slot)| table[slot]);
        counts.min().unwrap_or(0).into()
    }
}

fn slots(line: u64) -> [usize; 2] {
    [line as usize % COUNTERS, (line >> 32) as usize % COUNTERS]
}

/// The hashes of the lines of a document, and of short ones with a neighbour, each
/// once.
pub(super) fn line_hashes(source: u64, text: &str) -> Vec<u64> {
    let mut hashes = Vec::new();
    with_neighbours(source, text, |line| {
        if let Some(Neighbours { hash, short, pairs }) = line {
            hashes.push(hash);
            hashes.extend(pairs.into_iter().filter(|_| short));
        }
    });
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// A line among others.
struct Neighbours {
    hash: u64,
    short: bool,
    /// With the line before it and with the one after it.
    pairs: [u64; 2],
}

/// Calls `each` with every line of a document; with `None` for what is no line of
/// words, which is no neighbour either.
fn with_neighbours(source: u64, text: &str, mut each: impl FnMut(Option<Neighbours>)) {
    let hashes: Vec<Option<(u64, bool)>> =
        split(text).map(|line| line_hash(source, line).map(|hash| (hash, line.len() < ALONE_BYTES_MIN))).collect();
    let mut words = hashes.iter().flatten().map(|(hash, _)| *hash).skip(1);
    let pair = |first: u64, second: u64| mix(first.rotate_left(1) ^ second);
    let mut before = ENDS[0] ^ source;
    for line in &hashes {
        each(line.map(|(hash, short)| {
            let after = words.next().unwrap_or(ENDS[1] ^ source);
            let pairs = [pair(replace(&mut before, hash), hash), pair(hash, after)];
            Neighbours { hash, short, pairs }
        }));
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::{Cleaned, Level, LineRule};

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

    #[test]
    fn short_lines_that_belong_to_each_document_stay() {
        let page = |i: u32| {
            let reply = |n: u32| ["Ndiyo.", "Hapana."][(n % 2) as usize];
            let said = |n: u32| format!("{} {}", words_of(i + n), words_of(3 * i + 11 * n));
            let talk: Vec<String> = (0..3).map(|n| format!("{}\n{}", said(n), reply(n))).collect();
            let (talk, before, after) = (talk.join("\n"), said(7), said(9));
            format!("Nyumbani\nMichezo\n\n{talk}\n\n{before}\n\nUtangulizi\n\n{after}\n\nWasiliana nasi")
        };
        let mut lines = SiteLines::default();
        (0..60).for_each(|i| lines.add(7, &page(i)));
        let text = page(3);
        let gentle = Cleaned::of(&text, Level::Gentle, (&lines, 7), None);
        assert_eq!(gentle.removed, BTreeMap::from([(LineRule::Site, 3)]), "{}", gentle.text);
        assert!(gentle.text.contains("Ndiyo.") && gentle.text.contains("Utangulizi"));
        assert!(!gentle.text.contains("Michezo") && !gentle.text.contains("Wasiliana"));
        // Of pages of the web, what is in so many is no text.
        let strict = Cleaned::of(&text, Level::Strict, (&lines, 7), None);
        assert_eq!(strict.removed[&LineRule::Site], 7, "{}", strict.text);
        // A long line needs no neighbour.
        let notice = "Makala haya hayaruhusiwi kuchapishwa tena bila ruhusa ya maandishi ya mhariri mkuu wa gazeti hili la kila siku.";
        let with = |i: u32| format!("{}\n{notice}\n{}", words_of(i), words_of(2 * i + 1));
        let mut lines = SiteLines::default();
        (0..60).for_each(|i| lines.add(7, &with(i)));
        assert_eq!(
            Cleaned::of(&with(5), Level::Gentle, (&lines, 7), None).removed,
            BTreeMap::from([(LineRule::Site, 1)])
        );
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
