//! What can be set, in one order: the command line over the environment over
//! the file over what is built in.

use std::{
    fs,
    io::ErrorKind,
    net::{SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    time::Duration,
};

use kwaya_base::{Error, Result};
use kwaya_recipe::words::{parse_bytes, parse_duration};

/// The file of settings in the folder that is served.
pub const FILE: &str = "serve.toml";
/// What the name of a setting has before it in the environment.
pub const PREFIX: &str = "KWAYA_SERVE_";
/// A file of settings is short.
const FILE_BYTES_MAX: u64 = 1 << 16;

/// All settings by name, as the command line and the file have them.
pub const NAMES: [&str; 16] = [
    "listen",
    "name",
    "classifier",
    "vectors",
    "answers",
    "queue",
    "tokens",
    "body",
    "cache",
    "keep",
    "rate",
    "body-time",
    "answer-time",
    "stop-time",
    "tls-certificate",
    "tls-key",
];

/// How a model is served.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What the model is called; the name of its folder or file otherwise.
    pub name: Option<String>,
    /// A classifier that gives texts labels, as `kwaya classify train` writes it.
    pub classifier: Option<PathBuf>,
    /// The model by which passages are found beside their words, or `off`; the
    /// one that was named before otherwise.
    pub vectors: Option<String>,
    /// Answers that are written at once.
    pub answers: usize,
    /// Requests that wait for their turn.
    pub queue: usize,
    /// Tokens of an answer where a request does not say.
    pub tokens: usize,
    /// Bytes of the body of a request.
    pub body_bytes: usize,
    /// Bytes for the keys and values of all answers that are written.
    pub cache_bytes: u64,
    /// Bytes of those that are kept for texts that begin alike.
    pub keep_bytes: u64,
    /// Requests of one token in a minute.
    pub rate: u32,
    /// In which the whole body of a request has to come.
    pub body_time: Duration,
    /// In which an answer has to be whole.
    pub answer_time: Duration,
    /// In which answers are finished when the server is stopped.
    pub stop_time: Duration,
    /// The certificate of the server, and the chain to it, as PEM.
    pub tls_certificate: Option<PathBuf>,
    /// Its key.
    pub tls_key: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            name: None,
            classifier: None,
            vectors: None,
            answers: 16,
            queue: 64,
            tokens: 1024,
            body_bytes: 1 << 20,
            cache_bytes: 2 << 30,
            keep_bytes: 16 << 20,
            rate: 600,
            body_time: Duration::from_secs(30),
            answer_time: Duration::from_secs(600),
            stop_time: Duration::from_secs(60),
            tls_certificate: None,
            tls_key: None,
        }
    }
}

impl Settings {
    /// Those of the file, then of the environment, then those that were typed.
    /// A file that was named has to be there; the one in `folder` may be
    /// missing.
    ///
    /// # Errors
    /// `setting-wrong` and `setting-unknown`, with where it stands.
    pub fn read(folder: &Path, file: Option<&Path>, typed: &[(&str, &str)]) -> Result<Self> {
        let mut settings = Self::default();
        let usual = folder.join(FILE);
        let path = file.unwrap_or(&usual);
        match text(path) {
            Ok(text) => settings.set_file(path, &text)?,
            Err(error) if error.key() == "io-not-found" && file.is_none() => {}
            Err(error) => return Err(error),
        }
        for name in NAMES {
            let variable = format!("{PREFIX}{}", name.replace('-', "_").to_uppercase());
            if let Some(value) = std::env::var_os(&variable) {
                settings.set(name, &value.to_string_lossy(), &variable)?;
            }
        }
        for (name, value) in typed {
            settings.set(name, value, &format!("--{name}"))?;
        }
        Ok(settings)
    }

    fn set_file(&mut self, path: &Path, text: &str) -> Result<()> {
        let wrong = |cause: &str| Error::usage("setting-file").path(path).arg("cause", cause);
        let table: toml::Table = text.parse().map_err(|cause: toml::de::Error| wrong(cause.message()))?;
        let place = path.display().to_string();
        for (name, value) in &table {
            let value = match value {
                toml::Value::String(text) => text.clone(),
                toml::Value::Integer(number) => number.to_string(),
                _ => return Err(wrong(name)),
            };
            self.set(name, &value, &place)?;
        }
        Ok(())
    }

    /// Sets one, that stands in `place`.
    fn set(&mut self, name: &str, value: &str, place: &str) -> Result<()> {
        let wrong = |allowed: &str| {
            Error::usage("setting-wrong")
                .arg("name", name)
                .arg("value", value)
                .arg("place", place)
                .arg("allowed", allowed)
        };
        let whole = |low: usize, high: usize| {
            let number = value.trim().parse().ok().filter(|number| (low..=high).contains(number));
            number.ok_or_else(|| wrong(&format!("{low}-{high}")))
        };
        let bytes = |low: u64| parse_bytes(value).filter(|bytes| *bytes >= low).ok_or_else(|| wrong("800MB, 2GB"));
        let time = || parse_duration(value).ok_or_else(|| wrong("90s, 10m"));
        match name {
            "listen" => {
                let mut found = value.to_socket_addrs().map_err(|_| wrong("127.0.0.1:8080, 0.0.0.0:443"))?;
                self.listen = found.next().ok_or_else(|| wrong("127.0.0.1:8080"))?;
            }
            "name" if !value.is_empty() && value.len() <= 200 => self.name = Some(value.to_owned()),
            "name" => return Err(wrong("1-200")),
            "classifier" => self.classifier = Some(value.into()),
            "vectors" => self.vectors = Some(value.to_owned()),
            "answers" => self.answers = whole(1, 256)?,
            "queue" => self.queue = whole(1, 10_000)?,
            "tokens" => self.tokens = whole(1, 1 << 24)?,
            "body" => self.body_bytes = usize::try_from(bytes(1024)?.min(64 << 20)).unwrap_or(64 << 20),
            "cache" => self.cache_bytes = bytes(1 << 20)?,
            "keep" => self.keep_bytes = bytes(1)?,
            "rate" => self.rate = whole(1, 1_000_000)? as u32,
            "body-time" => self.body_time = time()?,
            "answer-time" => self.answer_time = time()?,
            "stop-time" => self.stop_time = time()?,
            "tls-certificate" => self.tls_certificate = Some(value.into()),
            "tls-key" => self.tls_key = Some(value.into()),
            _ => {
                let known = NAMES.join(", ");
                return Err(Error::usage("setting-unknown").arg("name", name).arg("place", place).arg("known", known));
            }
        }
        Ok(())
    }
}

fn text(path: &Path) -> Result<String> {
    let length = fs::metadata(path).map_err(|cause| Error::io(path, cause))?.len();
    if length > FILE_BYTES_MAX {
        return Err(Error::usage("setting-file").path(path).arg("cause", format!("{length} bytes")));
    }
    fs::read_to_string(path).map_err(|cause| match cause.kind() {
        ErrorKind::InvalidData => Error::usage("setting-file").path(path).arg("cause", cause),
        _ => Error::io(path, cause),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_counts_more_than_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        fs::write(&path, "listen = \"127.0.0.1:9\"\nqueue = 7\nanswer-time = \"2m\"\n").unwrap();
        let settings = Settings::read(folder.path(), None, &[("queue", "9"), ("body", "2MB")]).unwrap();
        assert_eq!((settings.listen.port(), settings.queue, settings.body_bytes), (9, 9, 2_000_000));
        assert_eq!((settings.answer_time.as_secs(), settings.answers), (120, 16));
        let key = |text: &str| {
            fs::write(&path, text).unwrap();
            Settings::read(folder.path(), None, &[]).unwrap_err().key()
        };
        assert_eq!(key("queues = 7"), "setting-unknown");
        assert_eq!(key("queue = 0"), "setting-wrong");
        assert_eq!(key("listen = \"nowhere\""), "setting-wrong");
        assert_eq!(key("queue = [7]"), "setting-file");
        assert_eq!(key("queue"), "setting-file");
        let missing = Settings::read(folder.path(), Some(Path::new("/nonexistent/x")), &[]);
        assert_eq!(missing.unwrap_err().key(), "io-not-found");
    }

    #[test]
    fn every_name_can_be_set() {
        for name in NAMES {
            let value = match name {
                "listen" => "[::1]:80",
                "body" | "cache" | "keep" => "5MB",
                _ if name.ends_with("time") => "5s",
                _ => "5",
            };
            Settings::default().set(name, value, "here").unwrap();
        }
    }
}
