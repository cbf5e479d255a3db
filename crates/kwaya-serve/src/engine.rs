//! The thread that owns the model. All answers that are being written go on
//! together, a token each at every step, while new prompts are read beside
//! them in pieces.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use kwaya_base::{Error, Result};
use kwaya_math::PAGE;
use kwaya_model::{Conversation, Conversations, shares};
use kwaya_recipe::text_model::TextModel;

use crate::{
    answer::{Answer, Event, Job, Reading},
    fault::again,
    queue::Queue,
};

/// Tokens of prompts that are read in a step while others wait for their next
/// token: enough for a product to be fast, few enough that nobody waits long.
const PROMPT_TOKENS: usize = 128;
/// The same when nobody waits.
const PROMPT_TOKENS_ALONE: usize = 256;

/// After so long without a request memory is given back.
pub(crate) const REST_AFTER: Duration = Duration::from_secs(2);

/// What the engine may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Answers that are written at once.
    pub(crate) answers: usize,
    /// Requests that wait.
    pub(crate) queue: usize,
    /// Bytes of keys and values.
    pub(crate) memory: u64,
    /// Bytes of them that are kept for texts that begin alike.
    pub(crate) kept: u64,
}

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Full,
    Stopping,
}

/// Figures since the start.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) writing: AtomicU64,
    pub(crate) waiting: AtomicU64,
    pub(crate) steps: AtomicU64,
    pub(crate) tokens_read: AtomicU64,
    pub(crate) tokens_known: AtomicU64,
    pub(crate) tokens_written: AtomicU64,
}

/// The engine, seen from those who ask.
pub(crate) struct Engine {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Tokens of a prompt and its answer at the most.
    pub(crate) context: usize,
}

struct Shared {
    state: Mutex<State>,
    news: Condvar,
    figures: Figures,
}

struct State {
    queue: Queue<Job>,
    stopping: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics holding this")
    }
}

impl Engine {
    pub(crate) fn start(model: Arc<TextModel>, room: Room) -> Self {
        let state = State { queue: Queue::new(room.queue), stopping: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), news: Condvar::new(), figures: Figures::default() });
        let pages = model.conversations_within(room.memory, room.kept).pages_max();
        let context = model.architecture().context.min(pages.saturating_mul(PAGE));
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || run(&model, &of_thread, room));
        Self { shared, thread: Mutex::new(Some(thread)), context }
    }

    /// Lets a request wait for its turn.
    pub(crate) fn submit(&self, user: &str, job: Job) -> Result<(), Refusal> {
        let mut state = self.shared.state();
        if state.stopping {
            return Err(Refusal::Stopping);
        }
        if !state.queue.has_room(user) {
            state.queue.retain(|job| !job.events.is_closed());
        }
        if !state.queue.has_room(user) {
            return Err(Refusal::Full);
        }
        state.queue.push(user, job);
        self.shared.figures.waiting.store(state.queue.len() as u64, Ordering::Relaxed);
        self.shared.news.notify_one();
        Ok(())
    }

    /// Takes no more, sends away those who wait, and ends once the answers
    /// that are being written are whole.
    pub(crate) fn stop(&self) {
        let mut state = self.shared.state();
        state.stopping = true;
        for job in state.queue.drain() {
            job.events.send(Event::Failed(Error::new("serve-stopping")));
        }
        self.shared.news.notify_one();
    }

    /// Whether its thread is at work; false after it was stopped, or broke.
    pub(crate) fn is_running(&self) -> bool {
        self.thread.lock().expect("nobody panics holding this").as_ref().is_some_and(|thread| !thread.is_finished())
    }

    pub(crate) fn figures(&self) -> &Figures {
        &self.shared.figures
    }
}

/// What the thread does until it is stopped.
fn run(model: &TextModel, shared: &Shared, room: Room) {
    let cache = model.conversations_within(room.memory, room.kept);
    let mut work = Work { model, shared, room, cache, answers: Vec::new(), readings: Vec::new(), scratch: Vec::new() };
    while work.admit() {
        work.let_go();
        work.step();
        work.read();
        let count = work.answers.len() + work.readings.len();
        shared.figures.writing.store(count as u64, Ordering::Relaxed);
    }
}

/// All that the thread is at.
struct Work<'m> {
    model: &'m TextModel,
    shared: &'m Shared,
    room: Room,
    cache: Conversations<'m>,
    answers: Vec<Answer>,
    readings: Vec<Reading>,
    scratch: Vec<f32>,
}

impl Work<'_> {
    /// Takes in those who wait as long as there is room, and waits itself when
    /// there is nothing to do. False when it is all over.
    fn admit(&mut self) -> bool {
        let Self { model, cache, answers, readings, .. } = self;
        let mut state = self.shared.state();
        let mut rested = false;
        while answers.is_empty() && readings.is_empty() && state.queue.len() == 0 {
            if state.stopping {
                return false;
            }
            let wait = if rested { Duration::MAX } else { REST_AFTER };
            let (now, waited) = self.shared.news.wait_timeout(state, wait).expect("nobody panics holding this");
            state = now;
            if waited.timed_out() && !rested && state.queue.len() == 0 {
                drop(state);
                // Whoever asks meanwhile waits for some milliseconds.
                cache.rest();
                model.rest();
                (rested, state) = (true, self.shared.state());
            }
        }
        let pages = |tokens: usize| tokens.div_ceil(PAGE);
        let lengths = answers.iter().map(|answer| answer.length_max).chain(readings.iter().map(|r| r.tokens.len()));
        let mut taken: usize = lengths.map(pages).sum();
        let mut served = BTreeMap::<String, usize>::new();
        let users = answers.iter().map(|answer| &answer.user).chain(readings.iter().map(|reading| &reading.user));
        users.for_each(|user| *served.entry(user.clone()).or_default() += 1);
        while answers.len() + readings.len() < self.room.answers {
            // All that an answer can come to has to have room, so that none
            // has to be given up half-way. An empty engine has room for any.
            let fits = |job: &Job| taken + pages(job.length_max()) <= cache.pages_max();
            let served_now = |user: &str| served.get(user).copied().unwrap_or(0);
            let Some((user, job)) = state.queue.next(served_now, fits) else { break };
            if job.events.is_closed() {
                continue;
            }
            *served.entry(user.clone()).or_default() += 1;
            taken += pages(job.length_max());
            let Job { prompt, writing, events } = job;
            match writing {
                Some(writing) => {
                    let (conversation, known) = cache.begin(&prompt);
                    self.shared.figures.tokens_known.fetch_add(known as u64, Ordering::Relaxed);
                    answers.push(Answer::new(user, prompt, writing, events, conversation, known));
                }
                None => {
                    let (conversation, _) = cache.begin(&[]);
                    let sum = vec![0.0; self.model.architecture().hidden];
                    readings.push(Reading { user, conversation, tokens: prompt, read: 0, sum, events });
                }
            }
        }
        self.shared.figures.waiting.store(state.queue.len() as u64, Ordering::Relaxed);
        true
    }

    /// Gives up what nobody waits for any more.
    fn let_go(&mut self) {
        let Self { cache, answers, readings, .. } = self;
        answers.retain(|answer| {
            if answer.is_unwanted() {
                cache.end(answer.conversation);
            }
            !answer.is_unwanted()
        });
        readings.retain(|reading| {
            if reading.events.is_closed() {
                cache.end(reading.conversation);
            }
            !reading.events.is_closed()
        });
    }

    /// One pass of the model: a token of every answer, and a piece of the
    /// prompts that are not read yet, those first that came first.
    fn step(&mut self) {
        let Self { model, shared, cache, answers, scratch, .. } = self;
        let unread = || answers.iter().map(|answer| answer.history.len() - answer.read);
        let most = if unread().any(|unread| unread == 1) { PROMPT_TOKENS } else { PROMPT_TOKENS_ALONE };
        let counts = shares(unread(), most);
        let batch: Vec<(Conversation, &[u32])> = answers
            .iter()
            .zip(&counts)
            .filter(|(_, count)| **count > 0)
            .map(|(answer, count)| (answer.conversation, &answer.history[answer.read..answer.read + count]))
            .collect();
        if batch.is_empty() {
            return;
        }
        let figures = &shared.figures;
        figures.steps.fetch_add(1, Ordering::Relaxed);
        figures.tokens_read.fetch_add(counts.iter().sum::<usize>() as u64, Ordering::Relaxed);
        let over: Vec<bool> = match cache.feed(&batch) {
            Err(error) => {
                // Nobody is to wait for ever for what cannot be computed.
                let fail = |(answer, count): (&Answer, &usize)| {
                    if *count > 0 {
                        answer.fail(again(&error));
                    }
                    *count > 0
                };
                answers.iter().zip(&counts).map(fail).collect()
            }
            Ok(logits) => {
                let mut logits = logits.chunks(model.architecture().vocab);
                let mut written = 0;
                let go_on = |(answer, count): (&mut Answer, &usize)| {
                    answer.read += count;
                    let logits = if *count > 0 { logits.next() } else { None };
                    let Some(logits) = logits.filter(|_| answer.read == answer.history.len()) else { return false };
                    written += 1;
                    answer.go_on(model, logits, scratch)
                };
                let over = answers.iter_mut().zip(&counts).map(go_on).collect();
                figures.tokens_written.fetch_add(written, Ordering::Relaxed);
                over
            }
        };
        let mut over = over.into_iter();
        answers.retain(|answer| {
            let over = over.next().unwrap_or(false);
            if over {
                cache.end(answer.conversation);
            }
            !over
        });
    }

    /// A piece of the first text that is only read.
    fn read(&mut self) {
        let Some(reading) = self.readings.first_mut() else { return };
        let most = if self.answers.is_empty() { PROMPT_TOKENS_ALONE } else { PROMPT_TOKENS };
        let piece = &reading.tokens[reading.read..(reading.read + most).min(reading.tokens.len())];
        let added = self.cache.add_states(reading.conversation, piece, &mut reading.sum);
        reading.read += piece.len();
        self.shared.figures.tokens_read.fetch_add(piece.len() as u64, Ordering::Relaxed);
        match added {
            Err(error) => reading.events.send(Event::Failed(error)),
            Ok(()) if reading.read < reading.tokens.len() => return,
            Ok(()) => reading.finish(),
        }
        let reading = self.readings.remove(0);
        self.cache.end(reading.conversation);
    }
}
