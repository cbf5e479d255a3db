//! From labelled rows to a classifier of texts: linear, over hashed words and
//! character n-grams, trained in about a second, with settings chosen by
//! cross-validation, calibrated probabilities, an answer "unsure", and the
//! words that speak for each label.
//!
//! The path of a row: [`Rows`] reads it by the names of its columns,
//! `features` takes it apart, `solver` learns from it, `calibrate` gives
//! probabilities their meaning, [`train`] leads all of it. A [`Classifier`]
//! answers, explains and is measured; `file` keeps it. The same rows give the
//! same bits with any number of threads on any processor.

mod calibrate;
mod features;
mod file;
mod measure;
mod model;
mod page;
mod rows;
mod solver;
mod train;

pub use calibrate::Calibration;
pub use measure::{Measures, OfLabel};
pub use model::{About, Answer, Classifier, Telling};
pub use page::{Shown, page};
pub use rows::{Columns, Row, Rows};
pub use train::{Trained, Trial, deal, labels, read, train};
