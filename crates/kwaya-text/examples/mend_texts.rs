//! Which lines of texts would be mended as mojibake or as broken words: in good
//! text there should be none.
//!
//! `cargo run --release -p kwaya-text --example mend_texts -- FILE...`
//!
//! With `--damage` each file is read as Windows-1252 once and twice first, and
//! how much of it comes back is printed.

use std::{env, fs, io::Write};

use kwaya_text::extract::{self, Worker};

/// A line with what was mended; as it is where it is no text.
fn read(text: &str) -> Result<String, Box<dyn std::error::Error>> {
    let read = extract::text("a.txt", text.as_bytes(), &Worker::InProcess, None).map_err(|error| error.to_string())?;
    Ok(read.unwrap_or_else(|_| text.to_owned()))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut names: Vec<String> = env::args().skip(1).collect();
    let damage = names.first().is_some_and(|first| first == "--damage");
    names.drain(..usize::from(damage));
    let mut out = std::io::stdout().lock();
    let (mut lines, mut changed, mut back) = (0, 0, [0; 2]);
    for name in &names {
        for line in fs::read_to_string(name)?.lines() {
            lines += 1;
            if damage {
                let mut damaged = line.to_owned();
                for count in &mut back {
                    damaged = encoding_rs::WINDOWS_1252.decode_without_bom_handling(damaged.as_bytes()).0.into_owned();
                    *count += usize::from(read(&damaged)? == line);
                }
            } else if read(line)? != line {
                changed += 1;
                writeln!(out, "{name}: {line}\n  {}", read(line)?)?;
            }
        }
    }
    match damage {
        true => writeln!(out, "{lines} lines; back after once: {}, after twice: {}", back[0], back[1])?,
        false => writeln!(out, "{lines} lines, {changed} changed")?,
    }
    Ok(())
}
