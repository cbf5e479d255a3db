//! From a recipe to a model: the recipe and the lock, the store and the
//! ledger, the plan and the build that goes through the stages.
//!
//! `kwaya.toml` (what a person wants) → `kwaya.lock` (exact numbers) →
//! stages, each known by the hash of what goes in → artefacts in the store,
//! a line each in the ledger.

pub mod bars;
pub mod base;
pub mod bench;
pub mod build;
pub mod card;
pub mod codec;
pub mod evaluation;
pub mod exchange;
pub mod forecast;
pub mod inspect;
pub mod learning;
pub mod ledger;
pub mod lock;
pub mod machine;
mod marks;
pub mod measure_text;
pub mod memory;
pub mod parity;
pub mod personal;
pub mod plan;
pub mod recipe;
pub mod report;
pub mod rights;
pub mod stage;
mod stages;
pub mod store;
pub mod text_model;
pub mod together;
pub mod withdraw;
pub mod words;
