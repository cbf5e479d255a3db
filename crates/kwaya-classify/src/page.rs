//! What people read of a classifier: one page that needs no network, with the
//! figures of each label, the confusion matrix as a picture, and the words
//! that tell.

use kwaya_base::{Error, Result, messages};
use minijinja::{
    Environment, Value, context,
    value::{Kwargs, Serde},
};

use serde::Serialize;

use crate::{
    measure::Measures,
    model::{About, Telling},
};

/// The confusion matrix of more labels than these cannot be looked at.
const LABELS_MAX: usize = 60;

/// What a page shows of a classifier beside its figures.
#[derive(Serialize)]
pub struct Shown<'a> {
    /// The labels, sorted.
    pub labels: &'a [String],
    /// Answers with a smaller probability are unsure.
    pub unsure_below: f64,
    /// The words that spoke most for each label, where that is known.
    pub telling: &'a [Vec<Telling>],
    /// The language model that was taught, if it is one.
    pub base: Option<&'a str>,
}

impl<'a> From<&'a About> for Shown<'a> {
    fn from(about: &'a About) -> Self {
        let unsure_below = about.calibration.unsure_below;
        Self { labels: &about.labels, unsure_below, telling: &about.telling, base: None }
    }
}

/// The page of a classifier called `name`, with figures that were measured on
/// the rows that `rows` names: `held-out` or `test`.
///
/// # Errors
/// `report-failed`, which would be a fault of the template.
pub fn page(name: &str, about: &Shown<'_>, measures: &Measures, held_out: bool) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment.add_template("classifier.html", include_str!("../templates/classifier.html")).map_err(failed)?;
    environment.add_function("say", say);
    environment.add_filter("fixed", |figure: f64, digits: usize| format!("{figure:.digits$}"));
    // Rows of the matrix, each cell with its share of the row.
    let rows: Vec<Vec<(u64, f64)>> = measures
        .confusion
        .iter()
        .map(|row| {
            let all = row.iter().sum::<u64>().max(1) as f64;
            row.iter().map(|count| (*count, *count as f64 / all)).collect()
        })
        .collect();
    let template = environment.get_template("classifier.html").map_err(failed)?;
    let page = context! {
        name => name,
        about => Value::from(Serde(about)),
        measures => Value::from(Serde(measures)),
        rows => Value::from(Serde(rows)),
        matrix => measures.labels.len() <= LABELS_MAX,
        held_out => held_out,
    };
    template.render(page).map_err(failed)
}

fn failed(error: minijinja::Error) -> Error {
    Error::new("report-failed").arg("cause", format!("{error:#}"))
}

/// `say(key, name=value)` in the template: the message with the values.
fn say(key: &str, values: Kwargs) -> Result<String, minijinja::Error> {
    let args: Vec<(&str, String)> = values
        .args()
        .map(|name| Ok((name, values.get::<Value>(name)?.to_string())))
        .collect::<Result<_, minijinja::Error>>()?;
    Ok(messages::format(key, &args))
}
