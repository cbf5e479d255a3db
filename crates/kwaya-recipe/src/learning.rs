//! What a training learns: all weights of a model, or adapters beside those of
//! a base. The stages about training treat all kinds alike.

use std::{path::Path, time::Duration};

use kwaya_base::{Progress, Result};
use kwaya_math::Pool;
use kwaya_model::{Adapters, Architecture, Config, Frozen, Lora, Model, Source};
use kwaya_train::{Keep, Measured, Memory, Options, Outcome, Schedule, TokenFile};

/// What is learned, and from where it begins.
pub struct Learning<'a> {
    /// What the model computes.
    pub architecture: Architecture,
    /// The standard deviation of fresh weights, where it begins with such.
    pub initializer_range: f64,
    /// The weights to begin from; random ones without.
    pub base: Option<&'a Source>,
    /// The adapters that alone are learned; without, all weights are. There
    /// is a base where there are adapters.
    pub lora: Option<Lora>,
}

/// What was learned.
pub enum Learned {
    /// All weights.
    Model(Model),
    /// Adapters.
    Adapters(Adapters),
}

impl<'a> Learning<'a> {
    /// A model trained from nothing.
    pub fn from_nothing(config: Config) -> Self {
        let architecture = Architecture::from(&config);
        Self { architecture, initializer_range: config.initializer_range, base: None, lora: None }
    }

    /// The weights of `base`, or adapters beside them.
    ///
    /// # Errors
    /// `train-family` for a model of which not all weights can be learned, where
    /// there are no adapters.
    pub fn of_base(base: &'a Source, lora: Option<Lora>) -> Result<Self> {
        if lora.is_none() {
            base.learned_whole()?;
        }
        let architecture = base.architecture().clone();
        Ok(Self { architecture, initializer_range: Config::default().initializer_range, base: Some(base), lora })
    }

    /// The configuration of a model that begins from nothing.
    pub(crate) fn config(&self) -> Config {
        let plain = self.architecture.config().expect("a plain Llama");
        Config { initializer_range: self.initializer_range, ..plain }
    }

    /// How many numbers are learned.
    pub fn parameters(&self) -> u64 {
        self.lora.as_ref().map_or_else(|| self.architecture.parameters(), |lora| lora.parameters(&self.architecture))
    }

    /// The bytes that a training of this takes.
    pub fn memory(&self, schedule: &Schedule, keep: Keep) -> Memory {
        match &self.lora {
            None => kwaya_train::memory(&self.architecture, schedule, keep),
            Some(lora) => kwaya_train::tuning_memory(&self.architecture, lora, schedule, keep),
        }
    }

    /// The bytes of the files that are read all the while.
    pub fn file_bytes(&self) -> u64 {
        let source = self.base.filter(|_| self.lora.is_some());
        source.map_or(0, |source| {
            let bytes = |name: &str| source.tensor(name).map_or(0, |view| view.bytes() as u64);
            source.architecture().tensors().iter().map(|(name, _)| bytes(name)).sum()
        })
    }

    /// Times steps of it, as [`kwaya_train::measure_within`] does.
    ///
    /// # Errors
    /// When base or schedule are not valid.
    pub fn measure(
        &self,
        schedule: &Schedule,
        keep: Keep,
        pool: &Pool,
        steps: usize,
        limit: Duration,
    ) -> Result<Measured> {
        match self.beside(pool)? {
            None if self.base.is_none() => {
                kwaya_train::measure_within(&self.config(), schedule, keep, pool, steps, limit)
            }
            None => {
                let model = Model::of(self.architecture.clone());
                let model = model.randomised(self.initializer_range, schedule.seed, pool);
                kwaya_train::measure_whole(model, schedule, keep, pool, steps, limit)
            }
            Some((frozen, lora)) => {
                let adapters = Adapters::fresh(&frozen, lora.clone(), schedule.seed);
                kwaya_train::measure_tuning(&frozen, adapters, schedule, keep, pool, steps, limit)
            }
        }
    }

    /// Does it, as [`kwaya_train::train`] does, and gives what was learned and
    /// how it went.
    ///
    /// # Errors
    /// As there.
    #[expect(clippy::too_many_arguments, reason = "each is one thing that a training needs")]
    pub fn train(
        &self,
        schedule: &Schedule,
        training: &TokenFile,
        held_out: &TokenFile,
        folder: &Path,
        options: &Options<'_>,
        pool: &Pool,
        progress: &dyn Progress,
    ) -> Result<Outcome<Learned>> {
        if let Some((frozen, lora)) = self.beside(pool)? {
            let adapters = Adapters::fresh(&frozen, lora.clone(), schedule.seed);
            let outcome =
                kwaya_train::tune(&frozen, &adapters, schedule, training, held_out, folder, options, pool, progress)?;
            return Ok(outcome.map(Learned::Adapters));
        }
        let outcome = match self.base {
            None => kwaya_train::train(&self.config(), schedule, training, held_out, folder, options, pool, progress)?,
            Some(base) => kwaya_train::train_from(base, schedule, training, held_out, folder, options, pool, progress)?,
        };
        Ok(outcome.map(Learned::Model))
    }

    /// The frozen weights, where adapters are learned.
    fn beside(&self, pool: &Pool) -> Result<Option<(Frozen<'a>, &Lora)>> {
        match (&self.lora, self.base) {
            (Some(lora), Some(base)) => Ok(Some((Frozen::new(base, pool)?, lora))),
            _ => Ok(None),
        }
    }
}
