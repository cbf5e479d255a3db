//! From a folder of documents to a clean corpus and a tokenizer.
//!
//! The path of a document: [`sources`] lists the files, `records` takes apart
//! those that hold many, [`extract`] turns each into text, [`clean`],
//! [`language`], [`keep_out`], [`withdrawn`], [`quality`] and [`duplicates`] decide
//! what of it is kept, [`privacy`] replaces personal data, and [`corpus`] joins them
//! and writes what was kept and what was not,
//! with the [`Reason`]. [`tokenizer`] learns from the result and
//! [`compressor`] gives a figure to measure a model against. Nothing here
//! depends on the number of threads.
//!
//! [`shares`] is that path past one machine. Beside it, [`vocabulary`] is a tokenizer as GGUF files describe it
//! and [`chat`] turns the messages of a chat into one text.

pub mod audit;
pub mod chat;
pub mod clean;
pub mod compressor;
pub mod constraint;
pub mod corpus;
pub mod duplicates;
mod extend;
pub mod extract;
mod extractors;
mod held_out;
mod judged;
pub mod keep_out;
pub mod language;
mod lines;
pub mod look;
mod originals;
mod paragraphs;
mod parallel;
mod pipeline;
mod prepare;
pub mod privacy;
pub mod quality;
mod reason;
mod records;
pub mod shares;
mod sort;
pub mod sources;
mod spool;
pub mod table;
pub mod tokenizer;
pub mod units;
pub mod vocabulary;
pub mod withdrawn;
mod worker;

pub use reason::Reason;
