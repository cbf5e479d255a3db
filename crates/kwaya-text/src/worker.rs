//! Parsers in a child process: the protocol, the child's loop, and the
//! parent's side with its limits.
//!
//! A request is the format (1 byte), the length (8 bytes, little endian) and
//! the file; a reply is 0 for a text or 1 + the number of a reason (1 byte),
//! the length (8 bytes) and the text or the detail. Asked for the rows of a
//! table ([`ROWS`]) it sends them in batches (marked [`MORE`]) before that.

use std::{
    ffi::OsString,
    io::{self, BufReader, BufWriter, Read, Write},
    panic,
    path::{Path, PathBuf},
    process::{self, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender},
    thread,
    time::{Duration, Instant},
};

use kwaya_base::{Error, Result, error::At};

use crate::{
    Reason,
    extract::{Format, Refusal, parse},
    records,
};

/// A text longer than this is no text of a document.
const REPLY_MAX: u64 = 256 << 20;
/// What the child may have in memory.
const MEMORY_MAX: u64 = 1 << 30;
/// The kind of a request for the rows of a table, and of a part of a reply.
const ROWS: u8 = 254;
const MORE: u8 = 255;
/// Batches of rows that wait to be taken.
const BATCHES: usize = 2;
/// How often its memory is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// The child's loop: reads requests from `stdin` and writes replies to
/// `stdout` until there are no more.
///
/// # Errors
/// When the parent is gone or sends something that is no request.
pub fn worker_main(stdin: impl Read, stdout: impl Write) -> Result<()> {
    // A panic is a reply here, not a message on somebody's screen.
    panic::set_hook(Box::new(|_| {}));
    serve(BufReader::new(stdin), BufWriter::new(stdout)).at(Path::new("extract-worker"))
}

fn serve(mut stdin: impl Read, mut stdout: impl Write) -> io::Result<()> {
    while let Some((kind, bytes)) = receive(&mut stdin, u64::MAX)? {
        let parsed = if kind == ROWS {
            let mut give = |batch: Vec<u8>| send(&mut stdout, MORE, &batch).is_ok();
            let serve = panic::AssertUnwindSafe(|| records::serve(&bytes, &mut give));
            let served = panic::catch_unwind(serve).unwrap_or_else(|_| Err((Reason::Damaged, "panic".to_owned())));
            served.map(|()| String::new())
        } else {
            let format = Format::ALL.get(usize::from(kind)).copied().ok_or(io::ErrorKind::InvalidData)?;
            parse(format, &bytes)
        };
        match parsed {
            Ok(text) => send(&mut stdout, 0, text.as_bytes())?,
            Err((reason, detail)) => {
                let number = Reason::ALL.iter().position(|r| *r == reason).expect("every reason is listed");
                send(&mut stdout, 1 + number as u8, detail.as_bytes())?;
            }
        }
    }
    Ok(())
}

fn send(to: &mut impl Write, kind: u8, bytes: &[u8]) -> io::Result<()> {
    to.write_all(&[kind])?;
    to.write_all(&(bytes.len() as u64).to_le_bytes())?;
    to.write_all(bytes)?;
    to.flush()
}

/// The next message; `None` at the end of the stream.
fn receive(from: &mut impl Read, max: u64) -> io::Result<Option<(u8, Vec<u8>)>> {
    let mut kind = [0];
    if from.read(&mut kind)? == 0 {
        return Ok(None);
    }
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > max {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // Memory is taken as the bytes come, not as they are promised.
    let mut bytes = Vec::new();
    from.by_ref().take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some((kind[0], bytes)))
}

/// The parent's side.
pub(crate) struct Child {
    program: PathBuf,
    arguments: Vec<OsString>,
    time_limit: Duration,
    running: Option<Running>,
}

struct Running {
    process: process::Child,
    requests: Sender<(u8, Vec<u8>)>,
    replies: Receiver<io::Result<(u8, Vec<u8>)>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Child {
    pub(crate) fn new(program: &Path, arguments: &[OsString], time_limit: Duration) -> Self {
        Self { program: program.to_owned(), arguments: arguments.to_owned(), time_limit, running: None }
    }

    /// As [`parse`], in the child, which is started when it is not running.
    ///
    /// # Errors
    /// When the child cannot be started.
    pub(crate) fn parse(&mut self, format: Format, bytes: &[u8]) -> Result<Result<String, Refusal>> {
        let running = match self.running.take() {
            Some(running) => running,
            None => self.start()?,
        };
        let reply = running.ask(format as u8, bytes.to_vec(), self.time_limit);
        // Without a reply the child is not to be trusted any more: it is ended
        // here and the next file gets a new one.
        Ok(reply.and_then(|(kind, content)| {
            self.running = Some(running);
            match kind {
                0 => String::from_utf8(content).map_err(|e| (Reason::Damaged, e.to_string())),
                number => Err(refusal(number, &content)),
            }
        }))
    }

    /// The rows of a table, in batches, until `take` wants no more. The limit
    /// of time is that of a batch.
    ///
    /// # Errors
    /// When the child cannot be started.
    pub(crate) fn rows(
        &mut self,
        request: Vec<u8>,
        take: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<Result<(), Refusal>> {
        let running = match self.running.take() {
            Some(running) => running,
            None => self.start()?,
        };
        let mut reply = running.ask(ROWS, request, self.time_limit);
        loop {
            match reply {
                Ok((MORE, batch)) => {
                    // What else it would send is nobody's: it is ended.
                    if !take(&batch) {
                        return Ok(Ok(()));
                    }
                    reply = running.reply(self.time_limit);
                }
                Ok((kind, detail)) => {
                    self.running = Some(running);
                    return Ok(if kind == 0 { Ok(()) } else { Err(refusal(kind, &detail)) });
                }
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
    }

    fn start(&self) -> Result<Running> {
        let mut process = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| Error::new("worker-failed").path(&self.program).arg("cause", &e).source(e))?;
        let stdin = process.stdin.take().expect("stdin is piped");
        let stdout = process.stdout.take().expect("stdout is piped");
        let (requests, to_send) = mpsc::channel();
        let (received, replies) = mpsc::sync_channel(BATCHES);
        // A thread of its own may wait for a child that neither reads nor
        // writes; it ends with the child.
        thread::spawn(move || talk(stdin, stdout, &to_send, &received));
        Ok(Running { process, requests, replies })
    }
}

fn talk(
    mut stdin: ChildStdin,
    stdout: ChildStdout,
    requests: &Receiver<(u8, Vec<u8>)>,
    replies: &SyncSender<io::Result<(u8, Vec<u8>)>>,
) {
    let mut stdout = BufReader::new(stdout);
    for (kind, bytes) in requests {
        let mut sent = send(&mut stdin, kind, &bytes);
        loop {
            let reply = sent
                .and_then(|()| receive(&mut stdout, REPLY_MAX))
                .and_then(|reply| reply.ok_or_else(|| io::ErrorKind::UnexpectedEof.into()));
            let more = matches!(reply, Ok((MORE, _)));
            if replies.send(reply).is_err() {
                return;
            }
            if !more {
                break;
            }
            sent = Ok(());
        }
    }
}

impl Running {
    fn ask(&self, kind: u8, bytes: Vec<u8>, limit: Duration) -> Result<(u8, Vec<u8>), Refusal> {
        self.requests.send((kind, bytes)).map_err(|_| gone())?;
        self.reply(limit)
    }

    /// The next part of a reply.
    fn reply(&self, limit: Duration) -> Result<(u8, Vec<u8>), Refusal> {
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.replies.recv_timeout(left.min(GLANCE)) {
                Ok(reply) => return reply.map_err(|_| gone()),
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    return Err((Reason::TimeLimit, format!("{} s", limit.as_secs_f32())));
                }
                Err(RecvTimeoutError::Timeout) if resident(self.process.id()) > MEMORY_MAX => {
                    return Err((Reason::Damaged, "the parser took too much memory".to_owned()));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

fn gone() -> Refusal {
    (Reason::Damaged, "the parser crashed".to_owned())
}

/// What a reply that is no text tells of.
fn refusal(number: u8, detail: &[u8]) -> Refusal {
    let reason = usize::from(number).checked_sub(1).and_then(|index| Reason::ALL.get(index));
    (reason.copied().unwrap_or(Reason::Damaged), String::from_utf8_lossy(detail).into_owned())
}

/// The bytes that a process has in memory, where the system says so.
fn resident(process: u32) -> u64 {
    let pages = std::fs::read_to_string(format!("/proc/{process}/statm"))
        .ok()
        .and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0).saturating_mul(4096)
}
