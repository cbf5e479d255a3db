//! Answers and fields from one's own documents, each with the passage it came
//! from.
//!
//! ```text
//! corpus → passages → index → found → answer with citations     (ask)
//! documents → model held to a JSON schema → rows with passages  (extract)
//! ```

pub mod extract;
