//! Tests of the real program, as a person or a script uses it: each in an
//! empty folder of its own, looking at exit codes, output and files.

mod bad_input;
mod common;
mod main_job;
mod messages;
mod offline;
mod same_bits;
