//! Tokens: random words that stand for a name and a role. They are shown once
//! and kept as Argon2 hashes.

use std::{fs, io::ErrorKind, path::Path};

use argon2::{Argon2, PasswordHash, PasswordHasher, PasswordVerifier, password_hash::SaltString};
use kwaya_base::{Error, Result, files};
use serde::{Deserialize, Serialize};

use crate::{chance, log};

/// The folder of the server's own files, in the folder that is served.
pub const FOLDER: &str = "serve";
const FILE: &str = "tokens.json";
/// What every token begins with, so that a person or a scanner recognises it.
const BEGIN: &str = "kwaya-";
/// Tokens at the most, and bytes of their file.
const TOKENS_MAX: usize = 1000;
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a token may do; each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Ask the model.
    Use,
    /// Build models.
    Build,
    /// See figures and change the server.
    Administer,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Use, Self::Build, Self::Administer];

    /// As it is typed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Use => "use",
            Self::Build => "build",
            Self::Administer => "administer",
        }
    }

    /// The role with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// A token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Whose it is.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The part of it that finds its hash.
    pub(crate) id: String,
    hash: String,
    /// When it was made, in UTC.
    pub made: String,
}

impl Token {
    /// Whether `secret` is this token. Takes tens of milliseconds.
    pub(crate) fn is(&self, secret: &str) -> bool {
        let hash = PasswordHash::new(&self.hash);
        hash.is_ok_and(|hash| Argon2::default().verify_password(secret.as_bytes(), &hash).is_ok())
    }
}

/// The part of a token that finds its hash.
pub(crate) fn id(secret: &str) -> Option<&str> {
    Some(secret.strip_prefix(BEGIN)?.split_once('-')?.0)
}

/// The tokens of the server whose own files are in `folder`.
///
/// # Errors
/// `token-file` when the file cannot be understood.
pub fn read(folder: &Path) -> Result<Vec<Token>> {
    let path = folder.join(FILE);
    let wrong = |cause: &dyn std::fmt::Display| Error::new("token-file").path(&path).arg("cause", cause);
    match fs::metadata(&path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(Error::io(&path, cause)),
        Ok(found) if found.len() > FILE_BYTES_MAX => return Err(wrong(&format!("{} bytes", found.len()))),
        Ok(_) => {}
    }
    let bytes = fs::read(&path).map_err(|cause| Error::io(&path, cause))?;
    serde_json::from_slice(&bytes).map_err(|cause| wrong(&cause))
}

fn write(folder: &Path, tokens: &[Token]) -> Result<()> {
    fs::create_dir_all(folder).map_err(|cause| Error::io(folder, cause))?;
    let json = serde_json::to_string_pretty(tokens).expect("tokens are plain data");
    let path = folder.join(FILE);
    files::write(&path, format!("{json}\n").as_bytes())?;
    // Not a secret, but nobody else's business either.
    #[cfg(unix)]
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .map_err(|cause| Error::io(&path, cause))?;
    Ok(())
}

/// Makes a token for `name`, and gives it: nobody can find it out again.
///
/// # Errors
/// `token-exists` and `token-name`; when the file cannot be written.
pub fn add(folder: &Path, name: &str, role: Role) -> Result<String> {
    let mut tokens = read(folder)?;
    let fits = |character: char| character.is_alphanumeric() || "-_.@".contains(character);
    if name.is_empty() || name.len() > 100 || !name.chars().all(fits) || tokens.len() >= TOKENS_MAX {
        return Err(Error::usage("token-name").arg("name", name));
    }
    if tokens.iter().any(|token| token.name == name) {
        return Err(Error::usage("token-exists").arg("name", name));
    }
    let id = format!("{:08x}", chance::number() as u32);
    let secret = format!("{BEGIN}{id}-{}{}", chance::name(), chance::name());
    let mut salt = [0; 16];
    salt[..8].copy_from_slice(&chance::number().to_le_bytes());
    salt[8..].copy_from_slice(&chance::number().to_le_bytes());
    let failed = |cause: argon2::password_hash::Error| Error::new("token-file").path(folder).arg("cause", cause);
    let salt = SaltString::encode_b64(&salt).map_err(failed)?;
    let hash = Argon2::default().hash_password(secret.as_bytes(), &salt).map_err(failed)?.to_string();
    tokens.push(Token { name: name.to_owned(), role, id, hash, made: log::time() });
    write(folder, &tokens)?;
    Ok(secret)
}

/// Takes the token of `name` away. A server that runs knows it within a
/// second or two.
///
/// # Errors
/// `token-unknown`; when the file cannot be written.
pub fn remove(folder: &Path, name: &str) -> Result<()> {
    let mut tokens = read(folder)?;
    let count = tokens.len();
    tokens.retain(|token| token.name != name);
    if tokens.len() == count {
        return Err(Error::usage("token-unknown").arg("name", name));
    }
    write(folder, &tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash_alone() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join(FOLDER);
        assert!(read(&folder).unwrap().is_empty());
        let secret = add(&folder, "asha", Role::Use).unwrap();
        let other = add(&folder, "juma", Role::Administer).unwrap();
        assert_eq!(add(&folder, "asha", Role::Use).unwrap_err().key(), "token-exists");
        assert_eq!(add(&folder, "a\nb", Role::Use).unwrap_err().key(), "token-name");
        let kept = fs::read_to_string(folder.join(FILE)).unwrap();
        assert!(kept.contains("argon2id") && !kept.contains(&secret[20..]), "{kept}");
        let tokens = read(&folder).unwrap();
        assert_eq!(id(&secret), Some(&*tokens[0].id));
        assert!(tokens[0].is(&secret) && !tokens[0].is(&other) && !tokens[0].is(""));
        assert!(Role::Administer > Role::Use && Role::named("build") == Some(Role::Build));
        remove(&folder, "asha").unwrap();
        assert_eq!(remove(&folder, "asha").unwrap_err().key(), "token-unknown");
        fs::write(folder.join(FILE), "{").unwrap();
        assert_eq!(read(&folder).unwrap_err().key(), "token-file");
    }
}
