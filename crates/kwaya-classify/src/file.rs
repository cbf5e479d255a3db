//! The file of a classifier: safetensors, with all that is not numbers as JSON
//! in its metadata, so that others can read it without Kwaya.
//!
//! ```text
//! metadata  "kwaya.classifier": JSON, see `About`, with "format": 1
//! intercepts        F32 [labels]
//! bag.N.names       U32 [features]          hashes, rising
//! bag.N.rarity      F32 [features]
//! bag.N.scales      F32 [features]
//! bag.N.weights     I8  [features, labels]
//! ```
//!
//! Of a bag a feature that is there `count` times has the number
//! `(1 + ln count) rarity`; these are divided by their length and multiplied by
//! the weight of the bag. A score is the intercept and the sum of number ×
//! scale × weight. A file is a stranger's: nothing in it is believed before it
//! was checked.

use std::{collections::HashMap, fs, path::Path};

use kwaya_base::{Error, Result, error::At, files};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use crate::{
    features,
    model::{About, Classifier, Table},
    rows::TEXTS_MAX,
};

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// The key of the metadata.
const KEY: &str = "kwaya.classifier";
const FORMAT: u32 = 1;
/// Labels.
const LABELS_MAX: usize = 1 << 12;
/// Bounds of numbers: far outside what training makes, far inside f32.
const NUMBER_MAX: f32 = 1e6;

#[derive(Serialize, Deserialize)]
struct Head {
    format: u32,
    /// Shortest and longest character n-gram.
    characters: [usize; 2],
    #[serde(flatten)]
    about: About,
}

fn bytes<T: Copy, const N: usize>(numbers: &[T], to: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    numbers.iter().flat_map(|number| to(*number)).collect()
}

impl Classifier {
    /// Writes the classifier durably. The same one gives the same bytes.
    ///
    /// # Errors
    /// What the disk brings.
    pub fn write(&self, path: &Path) -> Result<()> {
        files::write(path, &self.to_bytes())
    }

    fn to_bytes(&self) -> Vec<u8> {
        let labels = self.intercepts.len();
        let mut parts: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> =
            vec![("intercepts".to_owned(), Dtype::F32, vec![labels], bytes(&self.intercepts, f32::to_le_bytes))];
        for (bag, table) in self.tables.iter().enumerate() {
            let count = table.names.len();
            let mut add = |name: &str, dtype, shape: Vec<usize>, bytes| {
                parts.push((format!("bag.{bag}.{name}"), dtype, shape, bytes));
            };
            add("names", Dtype::U32, vec![count], bytes(&table.names, u32::to_le_bytes));
            add("rarity", Dtype::F32, vec![count], bytes(&table.rarity, f32::to_le_bytes));
            add("scales", Dtype::F32, vec![count], bytes(&table.scales, f32::to_le_bytes));
            add("weights", Dtype::I8, vec![count, labels], bytes(&table.weights, i8::to_le_bytes));
        }
        let views = parts.iter().map(|(name, dtype, shape, bytes)| {
            let view = TensorView::new(*dtype, shape.clone(), bytes).expect("as many bytes as the shape says");
            (name.as_str(), view)
        });
        let characters = [features::SHORTEST, features::LONGEST];
        let head = Head { format: FORMAT, characters, about: self.about.clone() };
        let head = serde_json::to_string(&head).expect("plain data");
        // One entry has one order.
        let metadata = HashMap::from([(KEY.to_owned(), head)]);
        safetensors::serialize(views, Some(metadata)).expect("names and shapes are well formed")
    }

    /// Reads a classifier.
    ///
    /// # Errors
    /// `classify-damaged` with the cause for what is none, and what the disk
    /// brings.
    pub fn read(path: &Path) -> Result<Self> {
        let damaged = |cause: &str| Error::new("classify-damaged").path(path).arg("cause", cause);
        let length = fs::metadata(path).at(path)?.len();
        if length > FILE_BYTES_MAX {
            return Err(damaged(&format!("{length} > {FILE_BYTES_MAX} bytes")));
        }
        from_bytes(&fs::read(path).at(path)?).map_err(|cause| damaged(&cause))
    }
}

fn from_bytes(bytes: &[u8]) -> Result<Classifier, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let head = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY)).ok_or_else(|| format!("no {KEY}"))?;
    let head: Head = serde_json::from_str(head).map_err(|error| format!("{KEY}: {error}"))?;
    if head.format != FORMAT || head.characters != [features::SHORTEST, features::LONGEST] {
        return Err(format!("format {} {:?}", head.format, head.characters));
    }
    check(&head.about)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let labels = head.about.labels.len();
    let get = |name: &str, dtype, shape: &[usize]| {
        let view = tensors.tensor(name).map_err(|error| error.to_string())?;
        // A shape of 0 asks for any.
        let fits = view.shape().len() == shape.len() && view.shape().iter().zip(shape).all(|(a, b)| *b == 0 || a == b);
        if view.dtype() != dtype || !fits {
            return Err(format!("{name}: {:?} {:?}", view.dtype(), view.shape()));
        }
        Ok(view.data().to_vec())
    };
    let numbers = |name: &str, shape: &[usize], least: f32| {
        let numbers: Vec<f32> =
            get(name, Dtype::F32, shape)?.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        match numbers.iter().find(|number| !(least..=NUMBER_MAX).contains(*number)) {
            Some(number) => Err(format!("{name}: {number}")),
            None => Ok(numbers),
        }
    };
    let mut tables = Vec::new();
    for bag in 0..head.about.bags.len() {
        let name = |part: &str| format!("bag.{bag}.{part}");
        let names = get(&name("names"), Dtype::U32, &[0])?;
        let names: Vec<u32> = names.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        if !names.is_sorted_by(|a, b| a < b) || names.len() >= u32::MAX as usize {
            return Err(name("names"));
        }
        let count = names.len();
        // A bag of no features asks for nothing, not for anything.
        let shape = |shape: &[usize]| if count == 0 { vec![0; shape.len()] } else { shape.to_vec() };
        let rarity = numbers(&name("rarity"), &shape(&[count]), 0.0)?;
        let scales = numbers(&name("scales"), &shape(&[count]), 0.0)?;
        let weights = get(&name("weights"), Dtype::I8, &shape(&[count, labels]))?;
        if rarity.len() != count || scales.len() != count || weights.len() != count * labels {
            return Err(format!("bag.{bag}"));
        }
        let weights = weights.into_iter().map(|byte| i8::from_le_bytes([byte])).collect();
        tables.push(Table { names, rarity, scales, weights });
    }
    let intercepts = numbers("intercepts", &[labels], -NUMBER_MAX)?;
    Ok(Classifier::new(head.about, tables, intercepts))
}

fn check(about: &About) -> Result<(), String> {
    let (labels, columns) = (about.labels.len(), about.text.len());
    if !(2..=LABELS_MAX).contains(&labels)
        || [about.rows.len(), about.telling.len()] != [labels; 2]
        || !about.held_out.fits(labels)
        || !about.labels.is_sorted_by(|a, b| a < b)
    {
        return Err(format!("labels: {labels}"));
    }
    if !(1..=TEXTS_MAX).contains(&columns) || !(1..=columns).contains(&about.bags.len()) {
        return Err(format!("columns: {columns}"));
    }
    for bag in &about.bags {
        let known = bag.columns.len() <= columns && bag.columns.iter().all(|column| *column < columns);
        if !known || !(0.0..=1.0).contains(&bag.weight) {
            return Err(format!("bags: {:?} {}", bag.columns, bag.weight));
        }
    }
    if !about.calibration.is_valid() {
        return Err(format!("{:?}", about.calibration));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use kwaya_base::Silent;
    use kwaya_math::{Pool, philox::Stream};

    use super::*;
    use crate::{Columns, Row, train};

    /// A classifier of 60 rows.
    fn small() -> Classifier {
        let words = ["mpira", "timu", "goli", "daktari", "dawa", "hospitali"];
        let text = |i: usize| format!("{} {} na {}", words[i % 2 * 3 + i % 3], words[i % 2 * 3 + i / 2 % 3], i % 7);
        let row = |i: usize| Row {
            line: i as u64,
            label: ["michezo", "afya"][i % 2].into(),
            texts: vec![text(i), text(i + 2) + " leo"],
        };
        let rows: Vec<Row> = (0..60).map(row).collect();
        let columns = Columns { text: vec!["title".into(), "text".into()], label: Some("topic".into()) };
        train(&rows, &[], &columns, 0.95, &Pool::new(1), &Silent).unwrap().classifier
    }

    #[test]
    fn what_is_written_is_read_and_answers_alike() {
        let made = small();
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.safetensors");
        made.write(&path).unwrap();
        let read = Classifier::read(&path).unwrap();
        assert_eq!((&read.about, &read.tables, &read.intercepts), (&made.about, &made.tables, &made.intercepts));
        assert_eq!(read.to_bytes(), fs::read(&path).unwrap());
        let answer = read.answer(&["Timu ya mpira", "goli"]);
        assert_eq!(answer, made.answer(&["Timu ya mpira", "goli"]));
        assert_eq!(read.about.labels[answer.label], "michezo");
        assert_eq!(read.row("dawa"), ["", "dawa"]);
    }

    #[test]
    fn the_parts_of_the_words_add_up_to_the_score() {
        let made = small();
        let texts = ["Timu ya mpira", "goli la timu na dawa"];
        let (probabilities, label) = (made.answer(&texts).probabilities, made.label("michezo").unwrap());
        let score = |label: usize| -> f32 {
            made.intercepts[label] + made.parts(&texts, label).iter().map(|part| part.weight).sum::<f32>()
        };
        let said = crate::calibrate::probabilities(&[score(0), score(1)], made.about.calibration.temperature);
        assert!((said[label] - probabilities[label]).abs() < 1e-4, "{said:?} {probabilities:?}");
        assert!(made.because(&texts, label, 2).iter().any(|telling| telling.word == "timu"));
    }

    #[test]
    fn damaged_files_are_refused_or_answer() {
        let good = small().to_bytes();
        let head = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
        let (mut random, mut read) = (Stream::new(5, 0, 0), 0);
        for round in 0..6_000_u64 {
            let mut bytes = good.clone();
            // Most of the damage where it matters.
            let end = if round % 3 == 0 { bytes.len() } else { head };
            for _ in 0..=random.below(3) {
                let at = random.below(end.min(bytes.len()) as u64) as usize;
                match random.below(4) {
                    0 => bytes[at] = random.next_u32() as u8,
                    1 => bytes[at] = b"0123456789-e.,\"[]{}"[random.below(19) as usize],
                    2 => drop(bytes.remove(at)),
                    _ if round % 20 == 0 => bytes.truncate(at.max(1)),
                    _ => bytes[at] ^= 1 << random.below(8),
                }
            }
            if let Ok(classifier) = from_bytes(&bytes) {
                read += 1;
                let row = classifier.row("timu ya mpira");
                let answer = classifier.answer(&row);
                assert!(answer.probabilities.iter().all(|p| (0.0..=1.0).contains(p)), "{answer:?}");
                classifier.because(&row, answer.label, 3);
            }
        }
        assert!(read > 100, "{read} of the damaged files were read");
    }
}
