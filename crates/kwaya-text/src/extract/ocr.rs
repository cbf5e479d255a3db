//! Text in pictures, read by the program `tesseract` where a recipe asks for it.
//!
//! It is never used only because it is there: what a corpus holds would then
//! depend on the machine. A recipe that asks for it is an error where it is
//! missing, and its version is in the history of each document.

use std::{
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use kwaya_base::{Error, Result, error::At};

use crate::{
    Reason,
    extract::Refusal,
    worker::{GLANCE, MEMORY_MAX, REPLY_MAX, resident},
};

/// The name of the program.
const PROGRAM: &str = "tesseract";
/// One picture takes seconds; a page of a newspaper a minute.
const TIME_MAX: Duration = Duration::from_secs(120);
/// What is kept of the program's words where it fails.
const CAUSE_CHARACTERS_MAX: usize = 200;

/// The program that reads pictures, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ocr {
    /// Its languages as it names them, with `+` between.
    languages: String,
    version: String,
}

impl Ocr {
    /// Finds the program and its languages, which are named as in
    /// `tesseract --list-langs`: `swa`, `eng`, `hau`, or scripts such as
    /// `script/Ethiopic`.
    ///
    /// # Errors
    /// `ocr-missing` when there is no such program, `ocr-language` when it does
    /// not know one of the languages.
    pub fn find(languages: &[String]) -> Result<Self> {
        let ask = |question: &str| {
            let missing = |cause: String| Error::new("ocr-missing").arg("program", PROGRAM).arg("cause", cause);
            let answer = Command::new(PROGRAM).arg(question).output().map_err(|error| missing(error.to_string()))?;
            // Older versions answer where errors are written.
            let text = [answer.stdout, answer.stderr].concat();
            Ok::<_, Error>(String::from_utf8_lossy(&text).into_owned())
        };
        let version = ask("--version")?.lines().next().unwrap_or("").trim().to_owned();
        let known = ask("--list-langs")?;
        let known: Vec<&str> =
            known.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains(' ')).collect();
        if let Some(unknown) = languages.iter().find(|language| !known.contains(&language.as_str())) {
            return Err(Error::new("ocr-language").arg("language", unknown).arg("known", known.join(", ")));
        }
        Ok(Self { languages: languages.join("+"), version })
    }

    /// Program, version and languages, as in the history of a document.
    pub fn describe(&self) -> String {
        format!("{}, {}", self.version, self.languages)
    }

    /// The text in a picture.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(crate) fn read(&self, picture: &[u8]) -> Result<Result<String, Refusal>> {
        let process = Command::new(PROGRAM)
            .args(["stdin", "stdout", "-l", &self.languages])
            // The threads of a build each have a process; more would only wait.
            .env("OMP_THREAD_LIMIT", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .at(Path::new(PROGRAM))?;
        Ok(watch(process, picture, TIME_MAX).and_then(|text| match text.trim().is_empty() {
            true => Err((Reason::Picture, "no text was recognised in it".to_owned())),
            false => Ok(text),
        }))
    }
}

/// Gives the process its picture and takes its text, within a time and the
/// memory that parsers may have.
fn watch(mut process: Child, picture: &[u8], limit: Duration) -> Result<String, Refusal> {
    let mut stdin = process.stdin.take().expect("stdin is piped");
    let mut stdout = process.stdout.take().expect("stdout is piped").take(REPLY_MAX);
    let mut stderr = process.stderr.take().expect("stderr is piped").take(REPLY_MAX);
    let picture = picture.to_vec();
    // A process that does not read to the end is done with the picture.
    thread::spawn(move || stdin.write_all(&picture));
    let words = thread::spawn(move || {
        let mut words = Vec::new();
        let _ = stderr.read_to_end(&mut words);
        words
    });
    let (give, replies) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        let _ = give.send(stdout.read_to_end(&mut text).map(|_| text));
    });
    let end = Instant::now() + limit;
    let text = loop {
        let left = end.saturating_duration_since(Instant::now());
        match replies.recv_timeout(left.min(GLANCE)) {
            Ok(text) => break text.map_err(|error| (Reason::Damaged, error.to_string())),
            Err(RecvTimeoutError::Disconnected) => break Err((Reason::Damaged, "the program crashed".to_owned())),
            Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                break Err((Reason::TimeLimit, format!("{} s", limit.as_secs_f32())));
            }
            Err(RecvTimeoutError::Timeout) if resident(process.id()) > MEMORY_MAX => {
                break Err((Reason::Damaged, "the program took too much memory".to_owned()));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    };
    if text.is_err() {
        // It may be gone already.
        let _ = process.kill();
    }
    let ended = process.wait().map_err(|error| (Reason::Damaged, error.to_string()))?;
    let text = text?;
    if !ended.success() {
        let words = words.join().unwrap_or_default();
        let words = String::from_utf8_lossy(&words);
        let last = words.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("");
        return Err((Reason::Damaged, last.chars().take(CAUSE_CHARACTERS_MAX).collect()));
    }
    String::from_utf8(text).map_err(|error| (Reason::Damaged, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_program_that_hangs_or_fails_costs_one_picture() {
        let run = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            watch(command.spawn().unwrap(), &[0; 100_000], Duration::from_millis(300))
        };
        assert_eq!(run("cat > /dev/null; echo Mahindi").unwrap(), "Mahindi\n");
        assert_eq!(run("echo Mahindi").unwrap(), "Mahindi\n");
        assert_eq!(run("exec sleep 60").unwrap_err().0, Reason::TimeLimit);
        assert_eq!(run("echo no image >&2; exit 1").unwrap_err(), (Reason::Damaged, "no image".to_owned()));
    }

    #[test]
    fn a_language_that_is_not_there_is_an_error() {
        let error = Ocr::find(&["xx-none".to_owned()]).unwrap_err();
        assert!(["ocr-missing", "ocr-language"].contains(&error.key()), "{}", error.key());
    }
}
