//! Extractors that outlive the threads which use them.

use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, PoisonError},
};

use crate::extract::{Extractor, Worker};

/// Extractors that threads borrow for as long as they work: a child process is
/// dear to start.
pub(crate) struct Extractors<'a> {
    worker: &'a Worker,
    idle: Mutex<Vec<Extractor>>,
}

impl<'a> Extractors<'a> {
    pub(crate) fn new(worker: &'a Worker) -> Self {
        Self { worker, idle: Mutex::new(Vec::new()) }
    }

    pub(crate) fn get(&self) -> Borrowed<'_> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Borrowed { extractor: Some(idle.unwrap_or_else(|| Extractor::new(self.worker))), owner: &self.idle }
    }
}

/// An extractor that is given back when it is dropped.
pub(crate) struct Borrowed<'a> {
    extractor: Option<Extractor>,
    owner: &'a Mutex<Vec<Extractor>>,
}

impl Deref for Borrowed<'_> {
    type Target = Extractor;

    fn deref(&self) -> &Extractor {
        self.extractor.as_ref().expect("it is taken out only when it is given back")
    }
}

impl DerefMut for Borrowed<'_> {
    fn deref_mut(&mut self) -> &mut Extractor {
        self.extractor.as_mut().expect("it is taken out only when it is given back")
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        self.owner.lock().unwrap_or_else(PoisonError::into_inner).extend(self.extractor.take());
    }
}
