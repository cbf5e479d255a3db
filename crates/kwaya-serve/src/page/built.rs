//! What the folder of a recipe says of its build.

use std::path::Path;

use kwaya_base::Result;
use kwaya_recipe::{
    ledger::{Entry, Ledger},
    lock::Lock,
    recipe::Recipe,
};
use serde::de::DeserializeOwned;

pub(super) struct Built {
    pub(super) recipe: Recipe,
    pub(super) lock: Option<Lock>,
    ledger: Ledger,
}

impl Built {
    /// Reads it; a build may be at work meanwhile.
    ///
    /// # Errors
    /// When the recipe, the lock or the ledger are not as written.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        Ok(Self {
            recipe: Recipe::read(folder)?,
            lock: Lock::read(folder)?,
            ledger: Ledger::read(&folder.join("build/ledger.jsonl"))?,
        })
    }

    /// The newest run of `stage`.
    pub(super) fn stage(&self, stage: &str) -> Option<&Entry> {
        self.ledger.entries().iter().rev().find(|entry| entry.stage == stage)
    }

    /// Its figures, if it has run and they are those of this program.
    pub(super) fn figures<T: DeserializeOwned>(&self, stage: &str) -> Option<T> {
        serde_json::from_value(self.stage(stage)?.figures.clone()).ok()
    }
}
