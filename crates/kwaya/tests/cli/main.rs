//! Tests of the real program, as a person or a script uses it: each in an
//! empty folder of its own, looking at exit codes, output and files.

// The tests print what they drew at random, so that it can be repeated.
#![allow(clippy::print_stderr)]

mod ask;
mod bad_input;
mod classify;
mod common;
mod exchange;
mod extract;
mod language;
mod limits;
mod look;
mod main_job;
mod messages;
mod offline;
mod page;
mod personal;
mod quality;
mod ranks;
mod rights;
mod same_bits;
mod serve;
mod taught;
mod taught_families;
mod taught_labels;
mod tools;
