//! Answers and fields from one's own documents, each with the passage it came
//! from.
//!
//! ```text
//! corpus → passages → index → found → answer with citations     (ask)
//! documents → model held to a JSON schema → rows with passages  (extract)
//! ```

mod analysis;
mod answer;
mod eval;
pub mod extract;
mod finder;
mod index;
mod library;
mod passages;
mod question;
mod small;
mod vectors;

pub use answer::{ANSWER_TOKENS, Answer, Asked, COVER_MIN, Citation, SUPPORT_MIN, Statement};
pub use eval::{Measured, Row, measure, read as read_questions};
pub use finder::Finder;
pub use library::{Found, Library, Passage, QUESTION_BYTES_MAX, Text, Weights};
pub use passages::{BYTES_MAX as PASSAGE_BYTES_MAX, passages};
pub use question::{Question, Weighted};
pub use small::Small;
