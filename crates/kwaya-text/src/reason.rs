//! Why a file or a document did not become part of the corpus.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why something was dropped. The words for people are the messages
/// `reason-<key>`, each with a remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The file has no bytes, or nothing is left of its text.
    Empty,
    /// The file or its text is over the limit.
    TooLarge,
    /// The file could not be opened or read.
    Unreadable,
    /// A pipe, a device or a socket: not a file with content.
    SpecialFile,
    /// A link to a folder that the walk has already been in.
    LinkLoop,
    /// Somebody took it back.
    Withdrawn,
    /// A picture.
    Picture,
    /// A format that is not read.
    UnknownFormat,
    /// The format is read, but this file is broken.
    Damaged,
    /// A PDF of pictures, without text.
    NoText,
    /// Extraction took too long.
    TimeLimit,
    /// Bytes or characters that are not prose in any language.
    NotText,
    /// A line of a file of JSON lines that holds neither a text nor a chat.
    BadLine,
    /// A member of an archive that is locked, or whose name is used twice or
    /// leads out of the archive.
    BadMember,
    /// An archive that unpacks to far more than its size, holds too many
    /// members, or too many archives within one another.
    ArchiveLimit,
    /// A table without the column that holds the text.
    NoColumn,
    /// A record that is no document: a redirect, an error page, a page about
    /// pages.
    NoDocument,
    /// Fewer characters than asked for.
    TooShort,
    /// Surely in a language that is not wanted.
    OtherLanguage,
    /// It has a passage of a text that models are measured on.
    Contaminated,
    /// The same text as an earlier document.
    ExactDuplicate,
    /// Nearly the same text as an earlier document.
    NearDuplicate,
    /// Next to nothing is left without paragraphs that earlier documents have.
    RepeatedParagraphs,
}

impl Reason {
    /// Every reason, in the order of the pipeline.
    pub const ALL: [Self; 23] = [
        Self::Unreadable,
        Self::SpecialFile,
        Self::LinkLoop,
        Self::Empty,
        Self::TooLarge,
        Self::Withdrawn,
        Self::Picture,
        Self::UnknownFormat,
        Self::Damaged,
        Self::NoText,
        Self::TimeLimit,
        Self::NotText,
        Self::BadLine,
        Self::BadMember,
        Self::ArchiveLimit,
        Self::NoColumn,
        Self::NoDocument,
        Self::TooShort,
        Self::OtherLanguage,
        Self::Contaminated,
        Self::ExactDuplicate,
        Self::NearDuplicate,
        Self::RepeatedParagraphs,
    ];

    /// The stable name: `too-large`.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge => "too-large",
            Self::Unreadable => "unreadable",
            Self::SpecialFile => "special-file",
            Self::LinkLoop => "link-loop",
            Self::Withdrawn => "withdrawn",
            Self::Picture => "picture",
            Self::UnknownFormat => "unknown-format",
            Self::Damaged => "damaged",
            Self::NoText => "no-text",
            Self::TimeLimit => "time-limit",
            Self::NotText => "not-text",
            Self::BadLine => "bad-line",
            Self::BadMember => "bad-member",
            Self::ArchiveLimit => "archive-limit",
            Self::NoColumn => "no-column",
            Self::NoDocument => "no-document",
            Self::TooShort => "too-short",
            Self::OtherLanguage => "other-language",
            Self::Contaminated => "contaminated",
            Self::ExactDuplicate => "exact-duplicate",
            Self::NearDuplicate => "near-duplicate",
            Self::RepeatedParagraphs => "repeated-paragraphs",
        }
    }

    /// The key of the message that explains it: `reason-too-large`.
    pub fn message(self) -> String {
        format!("reason-{}", self.key())
    }

    /// The reason with this stable name.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.key() == key)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_words_and_a_remedy() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_key(reason.key()), Some(reason));
            assert_eq!(serde_json::to_string(&reason).unwrap(), format!("\"{reason}\""));
            assert!(kwaya_base::messages::exists(&reason.message()), "{reason}");
            assert!(kwaya_base::messages::attribute(&reason.message(), "remedy", &[]).is_some(), "{reason}");
        }
    }
}
