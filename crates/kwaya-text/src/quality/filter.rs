//! The filters: their names, what each measures, and the limits that the
//! papers give.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One of the rules that a document is judged by, in the order in which they
/// are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// The share of the text that was in lines which were removed: lines of
    /// the whole site, notices about cookies, and what else [`super::LineRule`]
    /// names.
    Boilerplate,
    /// Words. Gopher: at least 50.
    FewWords,
    /// The ends of sentences. C4: at least 3.
    FewSentences,
    /// Characters in a word, on average. Gopher: 3 to 10.
    MeanWordLength,
    /// The share of what is visible that is letters.
    Letters,
    /// The share of words with a letter. Gopher: at least 0.8.
    AlphabeticWords,
    /// `#`, or else `…`, for each word. Gopher: at most 0.1.
    SymbolRatio,
    /// The share of lines that begin with a bullet. Gopher: at most 0.9.
    BulletLines,
    /// The share of lines that end with `…`. Gopher: at most 0.3.
    EllipsisLines,
    /// The share of lines with a curly bracket. C4: none.
    CurlyBrackets,
    /// How often the text says `lorem ipsum`. C4: never.
    LoremIpsum,
    /// The share of lines that do not end as a sentence does. FineWeb: at
    /// most 0.88.
    UnendedLines,
    /// The share of lines of at most 30 characters. FineWeb: at most 0.67.
    ShortLines,
    /// Ends of lines for each word. FineWeb: at most 0.3.
    LineBreaks,
    /// The share of lines that were there before. Gopher: at most 0.3.
    DuplicateLines,
    /// The share of characters in them. Gopher: at most 0.2.
    DuplicateLineCharacters,
    /// The share of paragraphs that were there before. Gopher: at most 0.3.
    DuplicateParagraphs,
    /// The share of characters in them. Gopher: at most 0.2.
    DuplicateParagraphCharacters,
    /// The characters in the most frequent 2-, 3- or 4-gram of words, in
    /// multiples of what Gopher allows (0.20, 0.18 and 0.16).
    TopNgram,
    /// The characters in 5- to 10-grams of words that were there before, in
    /// multiples of what Gopher allows (0.15, 0.14, … 0.10).
    DuplicateNgrams,
    /// The share of words that are among the frequent ones of the language in
    /// this corpus.
    StopWords,
    /// How much likelier than chance the order of the frequent words is, in
    /// bits for each two; 10 means as chance would have it.
    WordOrder,
    /// Bits for each character in a model of three characters, learned from
    /// this corpus.
    Gibberish,
    /// The share of words that are in the lists that the recipe names.
    WordList,
}

/// Figures are in ten-thousandths: whole numbers are the same on every
/// machine.
pub(super) const SCALE: u32 = 10_000;

/// Where a filter draws the line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rule {
    /// The limit at each level, gentle and strict.
    pub(super) levels: [Bound; 2],
    /// Whether the measure depends on language and script: then the limit is
    /// the looser of this one and one that is learned from the corpus.
    pub(super) by_language: bool,
}

/// What may be, at one level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    /// Anything.
    Off,
    /// At least.
    Low(f64),
    /// At most.
    High(f64),
    /// Between, both included.
    Between(f64, f64),
    /// No published limit: no less than is usual in the corpus.
    UsualLow,
    /// No published limit: no more than is usual in the corpus.
    UsualHigh,
}

impl Filter {
    /// How many there are.
    pub const COUNT: usize = 24;

    /// All, in order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Boilerplate,
        Self::FewWords,
        Self::FewSentences,
        Self::MeanWordLength,
        Self::Letters,
        Self::AlphabeticWords,
        Self::SymbolRatio,
        Self::BulletLines,
        Self::EllipsisLines,
        Self::CurlyBrackets,
        Self::LoremIpsum,
        Self::UnendedLines,
        Self::ShortLines,
        Self::LineBreaks,
        Self::DuplicateLines,
        Self::DuplicateLineCharacters,
        Self::DuplicateParagraphs,
        Self::DuplicateParagraphCharacters,
        Self::TopNgram,
        Self::DuplicateNgrams,
        Self::StopWords,
        Self::WordOrder,
        Self::Gibberish,
        Self::WordList,
    ];

    /// The stable name: `duplicate-lines`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boilerplate => "boilerplate",
            Self::FewWords => "few-words",
            Self::FewSentences => "few-sentences",
            Self::MeanWordLength => "mean-word-length",
            Self::Letters => "letters",
            Self::AlphabeticWords => "alphabetic-words",
            Self::SymbolRatio => "symbol-ratio",
            Self::BulletLines => "bullet-lines",
            Self::EllipsisLines => "ellipsis-lines",
            Self::CurlyBrackets => "curly-brackets",
            Self::LoremIpsum => "lorem-ipsum",
            Self::UnendedLines => "unended-lines",
            Self::ShortLines => "short-lines",
            Self::LineBreaks => "line-breaks",
            Self::DuplicateLines => "duplicate-lines",
            Self::DuplicateLineCharacters => "duplicate-line-characters",
            Self::DuplicateParagraphs => "duplicate-paragraphs",
            Self::DuplicateParagraphCharacters => "duplicate-paragraph-characters",
            Self::TopNgram => "top-ngram",
            Self::DuplicateNgrams => "duplicate-ngrams",
            Self::StopWords => "stop-words",
            Self::WordOrder => "word-order",
            Self::Gibberish => "gibberish",
            Self::WordList => "word-list",
        }
    }

    /// The filter with this stable name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|filter| filter.name() == name)
    }

    /// Where it draws the line. What differs from the papers at the gentle
    /// level is what news articles, hymns and lists of a small corpus need.
    pub(super) fn rule(self) -> Rule {
        use Bound::{Between, High, Low, Off, UsualHigh, UsualLow};
        let (by_language, gentle, strict) = match self {
            Self::Boilerplate => (false, High(0.8), High(0.5)),
            Self::FewWords => (false, Off, Low(50.0)),
            Self::FewSentences => (true, Off, Low(3.0)),
            Self::MeanWordLength => (true, Between(3.0, 10.0), Between(3.0, 10.0)),
            Self::Letters => (true, Low(0.65), Low(0.75)),
            Self::AlphabeticWords => (true, Low(0.7), Low(0.8)),
            Self::SymbolRatio => (false, High(0.1), High(0.1)),
            Self::BulletLines => (false, Off, High(0.9)),
            Self::EllipsisLines => (false, High(0.5), High(0.3)),
            Self::CurlyBrackets => (false, High(0.1), High(0.0)),
            Self::LoremIpsum => (false, High(0.0), High(0.0)),
            Self::UnendedLines => (true, Off, High(0.88)),
            Self::ShortLines => (true, Off, High(0.67)),
            Self::LineBreaks => (true, High(0.4), High(0.3)),
            Self::DuplicateLines => (false, High(0.4), High(0.3)),
            Self::DuplicateLineCharacters => (false, High(0.4), High(0.2)),
            Self::DuplicateParagraphs => (false, High(0.4), High(0.3)),
            Self::DuplicateParagraphCharacters => (false, High(0.4), High(0.2)),
            Self::TopNgram => (false, High(1.5), High(1.0)),
            Self::DuplicateNgrams => (false, High(2.5), High(1.0)),
            Self::StopWords => (true, UsualLow, UsualLow),
            Self::WordOrder => (true, UsualLow, UsualLow),
            Self::Gibberish => (true, UsualHigh, UsualHigh),
            Self::WordList => (false, High(0.02), High(0.005)),
        };
        Rule { levels: [gentle, strict], by_language }
    }

    /// The least distance of a learned limit from the median: below it, a
    /// difference is no sign of anything, however alike the documents are.
    pub(super) fn distance_min(self) -> f64 {
        match self {
            Self::FewSentences | Self::MeanWordLength => 1.5,
            Self::Letters | Self::AlphabeticWords | Self::ShortLines | Self::LineBreaks => 0.15,
            Self::UnendedLines => 0.3,
            Self::StopWords => 0.05,
            Self::WordOrder | Self::Gibberish => 0.5,
            _ => 0.0,
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_recipes_and_tables() {
        for (place, filter) in Filter::ALL.into_iter().enumerate() {
            assert_eq!(filter as usize, place);
            assert_eq!(Filter::from_name(filter.name()), Some(filter));
            assert_eq!(serde_json::to_string(&filter).unwrap(), format!("\"{filter}\""));
        }
        assert_eq!(Filter::from_name("taste"), None);
    }
}
