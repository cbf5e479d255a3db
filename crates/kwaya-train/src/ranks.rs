//! Several processes that train one model together. Each is a rank, counted
//! from 0; rank 0 leads.

use kwaya_base::{Error, Result, say};
use serde::{Deserialize, Serialize};

/// How the ranks of a training reach one another. Every method but those that
/// only ask is called by all ranks at the same place of their work; none of
/// them fails: where a rank is lost, the run of all ends.
pub trait Ranks {
    /// Which one this is.
    fn rank(&self) -> usize;
    /// How many there are.
    fn size(&self) -> usize;
    /// How many are on this machine, this one among them.
    fn beside(&self) -> usize;
    /// The name of this machine.
    fn host(&self) -> String;
    /// Sends to rank `to` and meanwhile fills `received` from rank `from`,
    /// which sends as much.
    fn exchange(&self, to: usize, sent: &[f32], from: usize, received: &mut [f32]);
    /// What every rank gives, in the order of the ranks.
    fn gather(&self, mine: &[u8]) -> Vec<Vec<u8>>;
    /// Fills `values` with those of rank 0.
    fn broadcast(&self, values: &mut [f32]);
    /// Rank 0 gives the others a word that they wait for in [`Ranks::listen`].
    fn tell(&self, word: &[u8]);
    /// Waits for the next word of rank 0, for hours if need be, and takes no
    /// processor meanwhile.
    fn listen(&self) -> Vec<u8>;
    /// Bytes that this rank has sent until now.
    fn sent(&self) -> u64;
}

/// One process that does everything.
pub struct Alone;

impl Ranks for Alone {
    fn rank(&self) -> usize {
        0
    }
    fn size(&self) -> usize {
        1
    }
    fn beside(&self) -> usize {
        1
    }
    fn host(&self) -> String {
        String::new()
    }
    fn exchange(&self, _: usize, _: &[f32], _: usize, _: &mut [f32]) {}
    fn gather(&self, mine: &[u8]) -> Vec<Vec<u8>> {
        vec![mine.to_vec()]
    }
    fn broadcast(&self, _: &mut [f32]) {}
    fn tell(&self, _: &[u8]) {}
    fn listen(&self) -> Vec<u8> {
        Vec::new()
    }
    fn sent(&self) -> u64 {
        0
    }
}

/// What a rank has come to, for the others.
#[derive(Serialize, Deserialize)]
struct Report {
    host: String,
    /// The words of its error.
    failed: Option<String>,
    /// What must be the same on all ranks: names and values.
    same: Vec<(String, String)>,
}

/// Lets all ranks know how a piece of work went on each, so that they go on
/// together or end together. `same` are the names and values that must not
/// differ between ranks.
///
/// # Errors
/// This rank's own error; `rank-failed`, for the first other rank that has
/// one; `ranks-differ`, for the first rank that differs from rank 0.
pub fn agree<T>(ranks: &dyn Ranks, mine: Result<T>, same: &[(&str, String)]) -> Result<T> {
    if ranks.size() == 1 {
        return mine;
    }
    let report = Report {
        host: ranks.host(),
        failed: mine.as_ref().err().map(ToString::to_string),
        same: same.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
    };
    let reports = ranks.gather(&serde_json::to_vec(&report).expect("a report is plain data"));
    let value = mine?;
    let mut first: Option<Vec<(String, String)>> = None;
    for (rank, bytes) in reports.iter().enumerate() {
        // Another version of the program may say it in other words.
        let report: Report = serde_json::from_slice(bytes).map_err(|e| failed(rank, "?", &e.to_string()))?;
        let leader = first.get_or_insert_with(|| report.same.clone());
        if let Some((there, here)) = report.same.iter().zip(leader).find(|(there, here)| there != here) {
            return Err(Error::new("ranks-differ")
                .arg("rank", rank)
                .arg("host", &report.host)
                .arg("what", say!(&format!("ranks-what-{}", here.0)))
                .arg("there", &there.1)
                .arg("here", &here.1));
        }
        if let Some(cause) = &report.failed {
            return Err(failed(rank, &report.host, cause));
        }
    }
    Ok(value)
}

fn failed(rank: usize, host: &str, cause: &str) -> Error {
    Error::new("rank-failed").arg("rank", rank).arg("host", host).arg("cause", cause)
}
