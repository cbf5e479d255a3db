//! The values of the metadata.

/// A value of the metadata. Numbers of all widths are kept in the widest, which
/// changes none of them; the writer takes the narrowest of 32 and 64 bits that
/// holds them, which is what llama.cpp expects of the keys it knows.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// An unsigned integer.
    Unsigned(u64),
    /// A signed integer.
    Signed(i64),
    /// A float.
    Float(f64),
    /// A yes or no.
    Bool(bool),
    /// A text.
    Text(String),
    /// A list of unsigned integers.
    Unsigneds(Vec<u64>),
    /// A list of signed integers.
    Signeds(Vec<i64>),
    /// A list of floats.
    Floats(Vec<f64>),
    /// A list of yes and no.
    Bools(Vec<bool>),
    /// A list of texts.
    Texts(Texts),
    /// A list of lists.
    Lists(Vec<Value>),
}

impl Value {
    /// What it is, for a message.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Unsigned(_) => "an unsigned number",
            Self::Signed(_) => "a signed number",
            Self::Float(_) => "a float",
            Self::Bool(_) => "a yes or no",
            Self::Text(_) => "text",
            Self::Unsigneds(_) => "a list of unsigned numbers",
            Self::Signeds(_) => "a list of signed numbers",
            Self::Floats(_) => "a list of floats",
            Self::Bools(_) => "a list of yes and no",
            Self::Texts(_) => "a list of texts",
            Self::Lists(_) => "a list of lists",
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

/// Many texts in one piece of memory: a vocabulary has 250,000.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Texts {
    joined: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Texts {
    /// Room for `count` texts, yet without their letters.
    pub(super) fn with_capacity(count: usize) -> Self {
        Self { joined: String::new(), ends: Vec::with_capacity(count) }
    }

    /// Adds a text.
    pub fn push(&mut self, text: &str) {
        self.joined.push_str(text);
        self.ends.push(self.joined.len());
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The text at `index`.
    pub fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        Some(&self.joined[start..end])
    }

    /// All of them in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index).expect("the index is below the length"))
    }
}

impl<S: AsRef<str>> FromIterator<S> for Texts {
    fn from_iter<I: IntoIterator<Item = S>>(texts: I) -> Self {
        let mut all = Self::default();
        texts.into_iter().for_each(|text| all.push(text.as_ref()));
        all
    }
}
