//! Random numbers from the system, for names that nobody is to guess.

/// A random number. Where the system gives none there is no safe way on, but
/// it does: all supported systems do once they have started.
pub(crate) fn number() -> u64 {
    getrandom::u64().expect("the system gives random numbers")
}

/// A name that nobody else has: 128 bits.
pub(crate) fn name() -> String {
    format!("{:016x}{:016x}", number(), number())
}
