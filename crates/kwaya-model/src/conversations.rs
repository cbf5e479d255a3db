//! Conversations with one model: many at once, each a list of tokens whose
//! keys and values lie in pages. Conversations that begin alike share the
//! pages of their beginning, also with those that are over, as long as there
//! is room.

use std::{cmp::Reverse, collections::BTreeMap};

use kwaya_base::{Error, Result};
use kwaya_math::{PAGE, Pages, Pool, Row, cross_entropy_loss};

use crate::decoder::{Buffers, Decoder};

/// Rows of a batch that are read at once, which bounds the working memory.
const ROWS: usize = 512;

/// The number of a conversation, good until [`Conversations::end`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Conversation(u64);

/// All conversations with a model. The logits of each depend on its own
/// tokens alone.
pub struct Conversations<'m> {
    model: &'m Decoder,
    pool: &'m Pool,
    pages: Pages,
    states: Vec<State>,
    /// Whole pages by what they hold: the page before, and the tokens.
    known: BTreeMap<(Option<u32>, [u32; PAGE]), u32>,
    open: BTreeMap<Conversation, Text>,
    begun: u64,
    clock: u64,
    pages_max: usize,
    /// From so many pages on, what is known is given up before more memory is
    /// taken.
    pages_kept: usize,
    buffers: Buffers,
    logits: Vec<f32>,
}

/// What is known of a page.
#[derive(Clone, Default)]
struct State {
    /// Conversations that use it.
    users: usize,
    /// Its key in `known`, once it is whole.
    key: Option<(Option<u32>, [u32; PAGE])>,
    /// Pages whose key names this one.
    children: usize,
    /// When it was last let go.
    used: u64,
}

#[derive(Default)]
struct Text {
    tokens: Vec<u32>,
    pages: Vec<u32>,
}

/// How many tokens of each text to read in one pass, of which so many are
/// `unread`: the last, where it is the only one, as somebody waits for what comes
/// after it; and of the others `most` together, those first that come first.
pub fn shares(unread: impl IntoIterator<Item = usize>, mut most: usize) -> Vec<usize> {
    let share = |unread: usize| {
        let share = if unread == 1 { 1 } else { unread.min(most) };
        most -= if unread == 1 { 0 } else { share };
        share
    };
    unread.into_iter().map(share).collect()
}

impl<'m> Conversations<'m> {
    /// No conversation yet. Keys and values take at most `memory` bytes, but
    /// never less than one conversation of two pages needs.
    pub fn new(model: &'m Decoder, pool: &'m Pool, memory: u64) -> Self {
        let pages = model.pages();
        let pages_max = usize::try_from(memory / pages.page_bytes() as u64).unwrap_or(usize::MAX);
        let pages_max = pages_max.clamp(2, u32::MAX as usize);
        Self {
            model,
            pool,
            pages,
            states: Vec::new(),
            known: BTreeMap::new(),
            open: BTreeMap::new(),
            begun: 0,
            clock: 0,
            pages_max,
            pages_kept: pages_max,
            buffers: Buffers::default(),
            logits: Vec::new(),
        }
    }

    /// Keeps what was read for others that begin alike only in `memory` bytes,
    /// instead of in all that conversations may take: a server that nobody
    /// uses is then small again after each answer.
    #[must_use]
    pub fn keeping(mut self, memory: u64) -> Self {
        let kept = usize::try_from(memory / self.pages.page_bytes() as u64).unwrap_or(usize::MAX);
        self.pages_kept = kept.min(self.pages_max);
        self
    }

    /// How many pages of [`PAGE`] tokens all open conversations may have.
    pub fn pages_max(&self) -> usize {
        self.pages_max
    }

    /// Opens a conversation that is going to begin with `tokens`, and says
    /// how many of them are there already: the rest is to be fed, at least
    /// the last.
    pub fn begin(&mut self, tokens: &[u32]) -> (Conversation, usize) {
        let mut text = Text::default();
        for chunk in tokens[..tokens.len().saturating_sub(1)].as_chunks::<PAGE>().0 {
            let Some(page) = self.known.get(&(text.pages.last().copied(), *chunk)) else { break };
            self.states[*page as usize].users += 1;
            text.pages.push(*page);
            text.tokens.extend(chunk);
        }
        let known = text.tokens.len();
        self.begun += 1;
        let conversation = Conversation(self.begun);
        self.open.insert(conversation, text);
        (conversation, known)
    }

    /// The tokens read so far.
    ///
    /// # Panics
    /// When the conversation is not open.
    pub fn tokens(&self, conversation: Conversation) -> &[u32] {
        &self.open[&conversation].tokens
    }

    /// Closes a conversation. Its pages stay for others that begin alike,
    /// until the room is needed.
    pub fn end(&mut self, conversation: Conversation) {
        let Some(text) = self.open.remove(&conversation) else { return };
        self.clock += 1;
        for page in text.pages {
            let state = &mut self.states[page as usize];
            state.users -= 1;
            state.used = self.clock;
        }
    }

    /// Gives back the memory that open conversations took, when there are none:
    /// what stays is what is kept for those that begin alike.
    pub fn rest(&mut self) {
        if !self.open.is_empty() {
            return;
        }
        (self.buffers, self.logits) = (Buffers::default(), Vec::new());
        let keys = |page: &u32| self.states[*page as usize].key.map(|key| (*page, key));
        let mut kept: Vec<_> = (0..self.states.len() as u32).filter_map(|page| keys(&page)).collect();
        // What was used last, and of that what comes first in a text: no page is
        // kept without the one before it.
        let before = |page: u32| self.states[page as usize].key.and_then(|(before, _)| before);
        let depth = |page: u32| std::iter::successors(Some(page), |page| before(*page)).count();
        kept.sort_by_cached_key(|(page, _)| (Reverse(self.states[*page as usize].used), depth(*page), *page));
        kept.truncate(self.pages_kept);
        let numbers: BTreeMap<u32, u32> = kept.iter().map(|(page, _)| *page).zip(0..).collect();
        let mut states = Vec::with_capacity(kept.len());
        self.known.clear();
        for (page, (before, tokens)) in &kept {
            let key = (before.map(|before| numbers[&before]), *tokens);
            self.known.insert(key, numbers[page]);
            states.push(State { users: 0, key: Some(key), children: 0, used: self.states[*page as usize].used });
        }
        for state in 0..states.len() {
            if let Some((Some(before), _)) = states[state].key {
                states[before as usize].children += 1;
            }
        }
        self.states = states;
        self.pages.keep(&kept.iter().map(|(page, _)| *page).collect::<Vec<_>>());
    }

    /// Reads more tokens of several conversations, each named once, in one
    /// batch. Returns the logits (conversations, V) after the last token of
    /// each.
    ///
    /// # Errors
    /// `session-empty` for no tokens, `session-token` for one outside the
    /// vocabulary, `session-full` when a text would be longer than the model
    /// reads, `session-memory` when there is no room for its keys and values.
    /// All conversations are then as they were.
    pub fn feed(&mut self, batch: &[(Conversation, &[u32])]) -> Result<&[f32]> {
        self.check(batch)?;
        self.make_room(batch)?;
        let vocab = self.model.architecture().vocab;
        self.logits.resize(batch.len() * vocab, 0.0);
        // (which of the batch, which of its tokens), piece by piece.
        let all: Vec<(usize, usize)> =
            batch.iter().enumerate().flat_map(|(i, (_, tokens))| (0..tokens.len()).map(move |t| (i, t))).collect();
        for piece in all.chunks(ROWS) {
            let tokens: Vec<u32> = piece.iter().map(|&(i, t)| batch[i].1[t]).collect();
            let row = |&(i, t): &(usize, usize)| {
                let text = &self.open[&batch[i].0];
                Row { pages: &text.pages, position: text.tokens.len() + t }
            };
            let rows: Vec<Row<'_>> = piece.iter().map(row).collect();
            self.model.read(&tokens, &rows, &mut self.pages, &mut self.buffers, self.pool);
            let (last, of): (Vec<usize>, Vec<usize>) = piece
                .iter()
                .enumerate()
                .filter(|(_, (i, t))| t + 1 == batch[*i].1.len())
                .map(|(r, (i, _))| (r, *i))
                .unzip();
            if let Some(first) = of.first() {
                let logits = &mut self.logits[first * vocab..][..of.len() * vocab];
                self.model.head(&last, &mut self.buffers, logits, self.pool);
            }
        }
        for (conversation, tokens) in batch {
            self.note(*conversation, tokens);
        }
        Ok(&self.logits)
    }

    /// Says what is wrong with a batch.
    fn check(&self, batch: &[(Conversation, &[u32])]) -> Result<()> {
        let a = self.model.architecture();
        for (conversation, tokens) in batch {
            let left = a.context - self.open[conversation].tokens.len();
            if tokens.is_empty() {
                return Err(Error::new("session-empty"));
            }
            if tokens.len() > left {
                return Err(Error::new("session-full").arg("tokens", tokens.len()).arg("left", left));
            }
            if let Some(token) = tokens.iter().find(|token| **token as usize >= a.vocab) {
                return Err(Error::new("session-token").arg("token", token).arg("vocabulary", a.vocab));
            }
        }
        Ok(())
    }

    /// Reads more tokens of a conversation that was begun with none, and adds
    /// what the model makes of each of them, its last state, to `sum` (C).
    ///
    /// # Errors
    /// As [`Conversations::feed`].
    ///
    /// # Panics
    /// When `sum` has another length.
    pub fn add_states(&mut self, conversation: Conversation, tokens: &[u32], sum: &mut [f64]) -> Result<()> {
        let width = self.model.architecture().hidden;
        assert_eq!(sum.len(), width, "the length of a state");
        self.check(&[(conversation, tokens)])?;
        self.make_room(&[(conversation, tokens)])?;
        for piece in tokens.chunks(ROWS) {
            let text = &self.open[&conversation];
            let row = |t| Row { pages: &text.pages, position: text.tokens.len() + t };
            let rows: Vec<Row<'_>> = (0..piece.len()).map(row).collect();
            self.model.read(piece, &rows, &mut self.pages, &mut self.buffers, self.pool);
            for state in self.model.states(piece.len(), &mut self.buffers, self.pool).chunks(width) {
                sum.iter_mut().zip(state).for_each(|(sum, x)| *sum += f64::from(*x));
            }
            self.note(conversation, piece);
        }
        Ok(())
    }

    /// How surprised the model is by a text that begins here: the sum of
    /// -ln p of each token from the place `from` on, which is 1 or more, given
    /// those before it.
    ///
    /// # Errors
    /// As [`Conversations::feed`].
    pub fn surprise(&mut self, tokens: &[u32], from: usize) -> Result<f64> {
        /// Rows whose logits are held at once.
        const PIECE: usize = 32;
        let vocab = self.model.architecture().vocab;
        let (conversation, _) = self.begin(&[]);
        let result = self.check(&[(conversation, tokens)]).and_then(|()| self.make_room(&[(conversation, tokens)]));
        let mut sum = 0.0;
        if result.is_ok() {
            let mut losses = [0.0; PIECE];
            for first in (0..tokens.len() - 1).step_by(ROWS) {
                let piece = &tokens[first..(tokens.len() - 1).min(first + ROWS)];
                let pages = &self.open[&conversation].pages;
                let rows: Vec<Row<'_>> = (0..piece.len()).map(|t| Row { pages, position: first + t }).collect();
                self.model.read(piece, &rows, &mut self.pages, &mut self.buffers, self.pool);
                let of: Vec<usize> =
                    (from.max(1) - 1..first + piece.len()).filter_map(|t| t.checked_sub(first)).collect();
                for of in of.chunks(PIECE) {
                    self.logits.resize(of.len() * vocab, 0.0);
                    self.model.head(of, &mut self.buffers, &mut self.logits, self.pool);
                    let next = &tokens[first + of[0] + 1..][..of.len()];
                    let losses = &mut losses[..of.len()];
                    cross_entropy_loss(self.pool, &self.logits, losses, next, vocab);
                    sum += losses.iter().map(|&loss| f64::from(loss)).sum::<f64>();
                }
            }
        }
        self.end(conversation);
        result.map(|()| sum)
    }

    /// Adds the tokens to a text, and makes its whole pages known.
    fn note(&mut self, conversation: Conversation, tokens: &[u32]) {
        let text = self.open.get_mut(&conversation).expect("it is open");
        let whole = text.tokens.len() / PAGE;
        text.tokens.extend(tokens);
        for (i, chunk) in text.tokens.as_chunks::<PAGE>().0.iter().enumerate().skip(whole) {
            let before = i.checked_sub(1).map(|i| text.pages[i]);
            // Where another conversation was first, this page stays unknown,
            // and so do those after it.
            let reachable = before.is_none_or(|page| self.states[page as usize].key.is_some());
            if reachable && !self.known.contains_key(&(before, *chunk)) {
                self.known.insert((before, *chunk), text.pages[i]);
                self.states[text.pages[i] as usize].key = Some((before, *chunk));
                if let Some(before) = before {
                    self.states[before as usize].children += 1;
                }
            }
        }
    }

    /// Gives each text of the batch the pages that it will need.
    fn make_room(&mut self, batch: &[(Conversation, &[u32])]) -> Result<()> {
        let mut needed = Vec::new();
        for (conversation, tokens) in batch {
            let text = &self.open[conversation];
            let pages = (text.tokens.len() + tokens.len()).div_ceil(PAGE) - text.pages.len();
            needed.extend(std::iter::repeat_n(*conversation, pages));
        }
        if needed.is_empty() {
            return Ok(());
        }
        // Pages that nobody uses, those first that nothing can find.
        let mut free: Vec<u32> = Vec::new();
        while free.len() < needed.len() {
            let count = self.pages.count();
            if let Some(page) = self.unused(&free) {
                self.forget(page);
                free.push(page);
            } else if count < self.pages_max {
                // Half as many again each time.
                let more = (needed.len() - free.len()).max(count / 2).min(self.pages_max - count);
                self.pages.grow(more);
                self.states.resize(count + more, State::default());
            } else {
                let bytes = self.pages_max as u64 * self.pages.page_bytes() as u64;
                return Err(Error::new("session-memory").arg("bytes", bytes));
            }
        }
        for (conversation, page) in needed.into_iter().zip(free) {
            self.states[page as usize].users = 1;
            self.open.get_mut(&conversation).expect("it is open").pages.push(page);
        }
        Ok(())
    }

    /// A page to take: an unknown one that nobody uses, or when there are to be
    /// no more pages the known one that was let go first and that no other
    /// page's key names.
    fn unused(&self, taken: &[u32]) -> Option<u32> {
        let unused = |state: &State| state.users == 0 && state.children == 0;
        let mut pages = (0_u32..).zip(&self.states).filter(|(page, state)| unused(state) && !taken.contains(page));
        let full = self.pages.count() >= self.pages_kept;
        let oldest = pages.clone().min_by_key(|(page, state)| (state.key.is_some(), state.used, *page));
        let unknown = pages.find(|(_, state)| state.key.is_none());
        unknown.or(oldest.filter(|_| full)).map(|(page, _)| page)
    }

    /// Takes a page out of what is known.
    fn forget(&mut self, page: u32) {
        if let Some(key) = self.states[page as usize].key.take() {
            self.known.remove(&key);
            if let Some(before) = key.0 {
                self.states[before as usize].children -= 1;
            }
        }
    }
}
