//! Teaching a language model to give texts labels: adapters are learned by the
//! training that builds have, on rows of which the label alone counts; then
//! they are merged, and the whole is written as one GGUF file of 8 bits.
//!
//! ```text
//! rows → lessons → packed rows of tokens → adapters → model.gguf → calibration on rows held out → OUT
//! ```
//!
//! All before the last lies in a folder beside `OUT`, from which a training that
//! was stopped goes on. The file is merged and whole, rather than adapters that
//! name their base, so that it can be carried and kept: nothing that it needs
//! can go missing or change. Calibration is of those 8 bits.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use kwaya_base::{Error, Progress, Result, error::At, say};
use kwaya_classify::{Calibration, Columns, Measures, Row};
use kwaya_math::Pool;
use kwaya_model::{Adapters, Lora, Source, quantise};
use kwaya_text::tokenizer::{self, Turns};
use kwaya_train::{Alone, Decay, Keep, Options, Outcome, Precision, Schedule, TokenFile, weights_hash};
use serde::Serialize;

use crate::{
    base::Base,
    codec::Codec,
    exchange::{self, Change},
    learning::{Learned, Learning},
    memory::{self, Room},
    plan,
    recipe::TrainWishes,
    store::FolderLock,
    taught::{About, Ask, FORMAT, KEY, LABELS_MAX},
    text_model::TextModel,
    words,
};

/// Of the rows one in so many is held out where no others are given.
const HELD_OUT: usize = 10;
/// Rows that a step learns from, about.
const ROWS_PER_STEP: usize = 8;
/// Tokens that are worked on at once, about: more do not make it faster.
const TOKENS_AT_ONCE: usize = 512;

/// What a person wants of it.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// What of a text is read: its first tokens.
    pub tokens: usize,
    /// How often it sees each row.
    pub epochs: u64,
    /// The largest step.
    pub learning_rate: f32,
    /// The numbers that products are made of.
    pub precision: Precision,
    /// Of the answers that are not called unsure, the share that is to be right.
    pub sure: f64,
    /// How much work a power cut may cost.
    pub checkpoint_every: Duration,
}

/// What was made.
#[derive(Clone, Debug, Serialize)]
pub struct Made {
    /// What is known of it.
    pub about: About,
    /// Bytes of the file.
    pub bytes: u64,
    /// Rows that it was taught.
    pub taught: u64,
    /// Of those, the ones whose text was cut.
    pub cut: u64,
    /// Seconds of the training, over all runs.
    pub seconds: f64,
}

/// Teaches the model that is named `base` the labels of `rows`, and writes the
/// classifier to `out`, where nothing may be yet. Calibration is on `dev` rows,
/// or where there are none on a tenth of the others. The same rows and wishes
/// give the same bytes on any number of threads, however often it was stopped.
///
/// # Errors
/// Those of [`kwaya_classify::labels`] and [`Base::open`]; `exchange-exists`;
/// `classify-labels-alike`, `classify-context`, `classify-memory`; those of the
/// training, `interrupted` among them.
#[expect(clippy::too_many_arguments, reason = "each is one thing that it needs")]
pub fn teach(
    base: &Path,
    rows: &[Row],
    dev: &[Row],
    columns: &Columns,
    wishes: &Wishes,
    out: &Path,
    room: Room,
    pool: &Pool,
    progress: &dyn Progress,
) -> Result<Made> {
    let labels = kwaya_classify::labels(rows, LABELS_MAX)?;
    columns.check()?;
    let name = name(base);
    let base = Base::open(Path::new(""), base)?;
    exchange::check_gguf(&base.source, out)?;
    let split = split(rows, dev, &labels);
    let lora = plan::lora_of(&TrainWishes::default());
    let teaching = Teaching { base, name, columns, labels, split, wishes, lora, pool, progress };
    let codec = Codec::open(&teaching.base.source)?;
    let ask = teaching.ask(&codec, teaching.base.architecture().context)?;
    let lessons = Lessons::of(&teaching.split.taught, &ask, &codec, progress)?;
    let (schedule, learning) = (schedule(&lessons, wishes), teaching.learning()?);
    let needed = memory::needed(&learning, &schedule, None, room.bytes);
    if needed > room.bytes {
        let error = Error::new("classify-memory").arg("needed", words::bytes(needed));
        return Err(error.arg("room", words::bytes(room.bytes)).arg("tokens", wishes.tokens));
    }
    let activations = memory::way(&learning, &schedule, room.bytes).activations;
    let work = Work::begin(out)?;
    progress.warn(&say!(
        "classify-teaching",
        rows = words::count(teaching.split.taught.len() as u64),
        epochs = wishes.epochs,
        steps = words::count(schedule.steps),
        tokens = wishes.tokens,
        cut = words::count(lessons.cut),
    ));
    let outcome = teaching.learn(&work, &lessons, &codec, &schedule, activations)?;
    let about = teaching.finish(&work, &outcome.model, schedule, out)?;
    work.end()?;
    Ok(Made {
        bytes: fs::metadata(out).at(out)?.len(),
        taught: about.rows.iter().sum(),
        cut: lessons.cut,
        seconds: outcome.seconds,
        about,
    })
}

/// All that a teaching is about.
struct Teaching<'a> {
    base: Base,
    /// What that is called.
    name: String,
    columns: &'a Columns,
    labels: Vec<String>,
    split: Split<'a>,
    wishes: &'a Wishes,
    lora: Lora,
    pool: &'a Pool,
    progress: &'a dyn Progress,
}

impl Teaching<'_> {
    fn column(&self) -> &str {
        self.columns.label.as_deref().unwrap_or_default()
    }

    fn ask(&self, codec: &Codec, context: usize) -> Result<Ask> {
        Ask::new(codec, context, self.column(), &self.labels, self.wishes.tokens)
    }

    fn learning(&self) -> Result<Learning<'_>> {
        Learning::of_base(&self.base.source, Some(self.lora.clone()))
    }

    /// Learns adapters, or goes on where that was stopped.
    fn learn(
        &self,
        work: &Work,
        lessons: &Lessons,
        codec: &Codec,
        schedule: &Schedule,
        activations: Keep,
    ) -> Result<Outcome<Adapters>> {
        let (training, nothing) = work.tokens(lessons, codec)?;
        // A folder for each plan: one that was given up does not stand in the way.
        let decided = (schedule, &self.lora, &self.base.hash, training.hash().to_string());
        let decided = blake3::hash(&serde_json::to_vec(&decided).expect("plain data")).to_hex();
        let checkpoints = work.folder.join(&decided[..16]);
        let options = Options { checkpoint_every: self.wishes.checkpoint_every, keep: 2, activations, ranks: &Alone };
        let learning = self.learning()?;
        let outcome =
            learning.train(schedule, &training, &nothing, &checkpoints, &options, self.pool, self.progress)?;
        Ok(outcome.map(|learned| match learned {
            Learned::Adapters(adapters) => adapters,
            Learned::Model(_) => unreachable!("adapters are learned"),
        }))
    }

    /// Merges what was learned, calibrates the answers of that, and writes both.
    fn finish(&self, work: &Work, adapters: &Adapters, schedule: Schedule, out: &Path) -> Result<About> {
        let write = |source: &Source, out: &Path, change: &Change<'_>, own: Option<(&str, String)>| {
            let target = quantise::Target::Q8_0;
            exchange::to_gguf(source, out, target, &self.name, change, own, self.pool, self.progress)
        };
        let merged = work.fresh("model.gguf")?;
        write(&self.base.source, &merged, &Change::Merge(adapters), None)?;
        let (calibration, held_out) = self.calibrate(&merged)?;
        let source = Source::open(&merged)?;
        let mut rows = vec![0; self.labels.len()];
        self.split.taught.iter().for_each(|(_, label)| rows[*label] += 1);
        let about = About {
            format: FORMAT,
            text: self.columns.text.clone(),
            label: self.column().to_owned(),
            labels: self.labels.clone(),
            rows,
            tokens: self.wishes.tokens,
            base: self.name.clone(),
            base_hash: self.base.hash.clone(),
            epochs: self.wishes.epochs,
            lora: self.lora.clone(),
            schedule,
            calibration,
            held_out,
            weights: weights_hash(&source)?.to_string(),
        };
        let own = serde_json::to_string(&about).expect("plain data");
        write(&source, out, &Change::Nothing, Some((KEY, own)))?;
        Ok(about)
    }

    /// Asks the model at `path`, by its own tokenizer, for the rows that were
    /// held out.
    fn calibrate(&self, path: &Path) -> Result<(Calibration, Measures)> {
        let model = TextModel::load(path, self.pool.threads())?;
        let ask = self.ask(model.codec(), model.architecture().context)?;
        let texts: Vec<Vec<String>> = self.split.held_out.iter().map(|(row, _)| row.texts.clone()).collect();
        let scores = ask.scores(&model, &texts, self.progress)?;
        let truths: Vec<usize> = self.split.held_out.iter().map(|(_, label)| *label).collect();
        let numbers: Vec<u32> = truths.iter().map(|label| *label as u32).collect();
        let calibration = Calibration::of(&scores, &numbers, self.wishes.sure);
        let answers: Vec<_> = scores.iter().map(|scores| calibration.answer(scores)).collect();
        Ok((calibration, calibration.measure(&self.labels, &answers, &truths)))
    }
}

/// What the model is called: its folder or file, wherever that lies.
fn name(base: &Path) -> String {
    let whole = base.canonicalize().unwrap_or_else(|_| base.to_owned());
    let name = if whole.is_dir() { whole.file_name() } else { whole.file_stem() };
    name.unwrap_or_default().to_string_lossy().into_owned()
}

/// Rows with their labels by number.
struct Split<'a> {
    taught: Vec<(&'a Row, usize)>,
    held_out: Vec<(&'a Row, usize)>,
}

/// A row that is the only one of its label is not held out.
fn split<'a>(rows: &'a [Row], dev: &'a [Row], labels: &[String]) -> Split<'a> {
    let number = |row: &'a Row| labels.binary_search(&row.label).ok().map(|label| (row, label));
    let taught: Vec<(&Row, usize)> = rows.iter().filter_map(number).collect();
    let held_out: Vec<(&Row, usize)> = dev.iter().filter_map(number).collect();
    if !held_out.is_empty() {
        return Split { taught, held_out };
    }
    let numbers: Vec<u32> = taught.iter().map(|(_, label)| *label as u32).collect();
    let mut counts = vec![0; labels.len()];
    numbers.iter().for_each(|label| counts[*label as usize] += 1);
    let parts = kwaya_classify::deal(&numbers, labels.len(), HELD_OUT);
    let (held_out, taught) =
        parts.into_iter().zip(taught).partition::<Vec<_>, _>(|(part, (_, label))| *part == 0 && counts[*label] > 1);
    let rows = |rows: Vec<(usize, (&'a Row, usize))>| rows.into_iter().map(|(_, row)| row).collect();
    Split { taught: rows(taught), held_out: rows(held_out) }
}

/// What is learned from.
struct Lessons {
    lessons: Vec<Turns>,
    /// Which of them are in each row of tokens.
    rows: Vec<Vec<usize>>,
    /// Tokens of a row: those of the longest lesson.
    length: usize,
    /// Lessons whose text was cut.
    cut: u64,
}

impl Lessons {
    fn of(rows: &[(&Row, usize)], ask: &Ask, codec: &Codec, progress: &dyn Progress) -> Result<Self> {
        let (mut lessons, mut cut) = (Vec::with_capacity(rows.len()), 0);
        for (row, label) in rows {
            if progress.stopped() {
                return Err(Error::new("interrupted"));
            }
            let (lesson, was_cut) = ask.lesson(codec, &row.texts, *label)?;
            lessons.push(lesson);
            cut += u64::from(was_cut);
        }
        let lengths: Vec<usize> = lessons.iter().map(|lesson| lesson.tokens.len()).collect();
        let length = lengths.iter().copied().max().unwrap_or(0);
        Ok(Self { rows: pack(&lengths, length), lessons, length, cut })
    }

    /// The lessons, row after row, each row filled up with what is not learned:
    /// none goes on in the next, where its text would be missing.
    fn documents(&self, end: u32) -> impl Iterator<Item = Result<Turns>> + '_ {
        self.rows.iter().flat_map(move |row| {
            let left = self.length - row.iter().map(|lesson| self.lessons[*lesson].tokens.len()).sum::<usize>();
            let filling = Turns { tokens: vec![end; left], answers: vec![false; left], answer_bytes: 0 };
            let lessons = row.iter().map(move |lesson| self.lessons[*lesson].clone());
            lessons.chain((left > 0).then_some(filling)).map(Ok)
        })
    }
}

/// Puts lessons of these lengths into rows of `room` tokens, which is the
/// longest of them: the longest first, each where it leaves least.
fn pack(lengths: &[usize], room: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|lesson| std::cmp::Reverse(lengths[*lesson]));
    // What is left of each row, and which it is.
    let (mut rows, mut left): (Vec<Vec<usize>>, BTreeSet<(usize, usize)>) = Default::default();
    for lesson in order {
        let found = left.range((lengths[lesson], 0)..).next().copied();
        let (free, row) = found.unwrap_or((room, rows.len()));
        if found.is_none() {
            rows.push(Vec::new());
        }
        left.remove(&(free, row));
        left.insert((free - lengths[lesson], row));
        rows[row].push(lesson);
    }
    rows
}

fn schedule(lessons: &Lessons, wishes: &Wishes) -> Schedule {
    let (rows, length) = (lessons.rows.len().max(1), lessons.length.max(1));
    let per_step = (ROWS_PER_STEP * rows).div_ceil(lessons.lessons.len().max(1)).min(rows);
    let at_once = ((TOKENS_AT_ONCE + length / 2) / length).clamp(1, per_step);
    let micro_batches = per_step.div_ceil(at_once);
    let steps = (wishes.epochs * rows as u64).div_ceil((at_once * micro_batches) as u64);
    Schedule {
        seed: 0,
        steps,
        sequence_length: length,
        sequences_per_micro_batch: at_once,
        micro_batches_per_step: micro_batches,
        learning_rate: wishes.learning_rate,
        learning_rate_min: wishes.learning_rate * 0.05,
        warmup_steps: (steps / 20).clamp(1, 100).min(steps),
        decay: Decay::Cosine,
        beta1: 0.9,
        beta2: 0.99,
        epsilon: 1e-8,
        weight_decay: 0.0,
        clip_norm: 1.0,
        evaluate_every: steps,
        precision: wishes.precision,
    }
}

/// The folder that the work is done in.
struct Work {
    folder: PathBuf,
    lock: FolderLock,
}

impl Work {
    fn begin(out: &Path) -> Result<Self> {
        let mut name = out.file_name().unwrap_or_default().to_owned();
        name.push(".teaching");
        let folder = out.with_file_name(name);
        let lock = FolderLock::take(&folder)?;
        Ok(Self { folder, lock })
    }

    /// The tokens to be learned, and none to look at in between: how good it
    /// is is asked of what is written.
    fn tokens(&self, lessons: &Lessons, codec: &Codec) -> Result<(TokenFile, TokenFile)> {
        let [training, nothing] = ["training.safetensors", "nothing.safetensors"].map(|name| self.folder.join(name));
        let (_, end) = codec.around()?;
        tokenizer::write(&training, codec.tokenizer(), end, lessons.documents(end))?;
        tokenizer::write(&nothing, codec.tokenizer(), end, [])?;
        Ok((TokenFile::open(&training)?, TokenFile::open(&nothing)?))
    }

    /// The path of a file that is to be written anew.
    fn fresh(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        if path.exists() {
            fs::remove_file(&path).at(&path)?;
        }
        Ok(path)
    }

    fn end(self) -> Result<()> {
        let Self { folder, lock } = self;
        drop(lock);
        fs::remove_dir_all(&folder).at(&folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lessons_are_packed_whole_and_close() {
        for lengths in [vec![7, 3, 4, 7, 2, 5, 1], vec![1; 50], vec![9], (1..200).collect()] {
            let room = *lengths.iter().max().unwrap();
            let rows = pack(&lengths, room);
            let sums: Vec<usize> = rows.iter().map(|row| row.iter().map(|lesson| lengths[*lesson]).sum()).collect();
            assert!(sums.iter().all(|sum| *sum <= room), "{sums:?}");
            let mut all: Vec<usize> = rows.concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..lengths.len()));
            let least = lengths.iter().sum::<usize>().div_ceil(room);
            assert!(rows.len() <= least + 1, "{} rows, {least} would do", rows.len());
        }
        assert!(pack(&[], 0).is_empty());
    }

    #[test]
    fn a_part_of_each_label_is_held_out_but_never_all_of_one() {
        let row = |i: u64| {
            let label = if i == 3 { "odd" } else { ["a", "b"][(i % 2) as usize] };
            Row { line: i, label: label.into(), texts: vec![String::new()] }
        };
        let rows: Vec<Row> = (0..101).map(row).collect();
        let labels = kwaya_classify::labels(&rows, 9).unwrap();
        let Split { taught, held_out } = split(&rows, &[], &labels);
        assert_eq!(taught.len() + held_out.len(), 101);
        assert!((9..=11).contains(&held_out.len()), "{}", held_out.len());
        assert!(taught.iter().any(|(row, _)| row.label == "odd"));
        let unknown = Row { label: "unknown".into(), ..row(0) };
        let dev = [row(0), unknown.clone()];
        let Split { taught, held_out } = split(&rows, &dev, &labels);
        assert_eq!((taught.len(), held_out.len()), (101, 1));
        assert_eq!(split(&rows, &[unknown], &labels).held_out.len(), 10);
    }
}
