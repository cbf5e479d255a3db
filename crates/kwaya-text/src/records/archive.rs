//! Archives: zip files member by member in the order of their names, and tar
//! streams, which have no order but their own. Nothing is unpacked to disk, so
//! a name can do no harm; what leaves the archive all the same, repeats a name
//! or is locked is refused.

use std::{
    collections::HashSet,
    io::{self, BufReader, Read},
};

use tar::{EntryType, Header, PaxExtensions};
use zip::{
    ZipReadOptions,
    read::{Config, OwnedZipFileEntry},
    result::ZipError,
    unstable::read::ZipIterable,
};

use super::{At, End, Flow, MEMBERS_MAX, NAME_MAX, ReadSeek, Unpacked, Walk, below};
use crate::Reason;

const TAR_BLOCK: usize = 512;
/// The list of members in a zip file, in bytes: it is held in memory.
const ZIP_DIRECTORY_MAX: u64 = 256 << 20;
/// A header of a tar member that holds a long name or attributes.
const TAR_EXTENSION_MAX: u64 = 1 << 20;

const NAME_AGAIN: &str = "a name that was there before";

/// Members that only a zip file has that is one document of its own format:
/// those of Office, of OpenDocument and EPUB, and of books without the latter.
const DOCUMENT_MARKS: [&str; 4] = ["[Content_Types].xml", "mimetype", "META-INF/container.xml", "word/document.xml"];

/// Whether the zip file is one document, or too damaged to say.
pub(super) fn is_document(file: &mut dyn ReadSeek) -> bool {
    let Ok(mut archive) = ZipIterable::try_new(BufReader::new(file), Config::default()) else { return true };
    let Ok(entries) = archive.files() else { return true };
    for entry in entries.take(MEMBERS_MAX) {
        match entry {
            Ok(entry) if !is_mark(entry.name_raw()) => {}
            _ => return true,
        }
    }
    false
}

fn is_mark(name: &[u8]) -> bool {
    DOCUMENT_MARKS.iter().any(|mark| name == mark.as_bytes())
}

/// Whether the stream begins with the header of a tar member.
pub(super) fn is_tar(head: &[u8]) -> bool {
    head.len() >= TAR_BLOCK && &head[257..262] == b"ustar" && checked(&head[..TAR_BLOCK]).is_some()
}

/// The header in this block of [`TAR_BLOCK`] bytes, when its sum is right.
fn checked(block: &[u8]) -> Option<&Header> {
    let header = Header::from_byte_slice(block);
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    let own: u32 = block[148..156].iter().map(|&byte| u32::from(byte)).sum();
    (header.cksum().ok()? == sum - own + 8 * u32::from(b' ')).then_some(header)
}

fn damaged(error: ZipError) -> End {
    match error {
        ZipError::Io(error) => error.into(),
        other => End::refused(Reason::Damaged, other.to_string()),
    }
}

/// What is wrong with the name of a member.
fn bad(name: &[u8]) -> Option<&'static str> {
    let mut parts = name.split(|byte| matches!(byte, b'/' | b'\\'));
    match () {
        () if name.len() > NAME_MAX => Some("a name that is too long"),
        () if parts.any(|part| part == b"..") => Some("a name that leaves the archive"),
        () if name.contains(&0) => Some("a name with a NUL"),
        () => None,
    }
}

/// Hidden members, and what macOS adds, are passed over as in folders.
fn is_hidden(name: &[u8]) -> bool {
    let mut parts = name.split(|byte| matches!(byte, b'/' | b'\\'));
    parts.any(|part| part.starts_with(b".") && part != b"." && part != b"..")
}

/// The name without what makes it absolute.
fn relative(name: &[u8]) -> &[u8] {
    let mut name = name;
    while let Some(rest) = name.strip_prefix(b"/").or_else(|| name.strip_prefix(b"./")) {
        name = rest;
    }
    name
}

impl Walk<'_> {
    pub(super) fn zip(&mut self, at: At<'_>, file: &mut dyn ReadSeek) -> Flow {
        if is_document(file) {
            file.rewind()?;
            return self.document(at, file);
        }
        let mut archive = ZipIterable::try_new(BufReader::new(file), Config::default()).map_err(damaged)?;
        let entries = archive.files().map_err(damaged)?;
        let mut members: Vec<OwnedZipFileEntry> = Vec::new();
        let mut start = None;
        for entry in &mut *entries {
            let entry = entry.map_err(damaged)?;
            let start = *start.get_or_insert(entry.central_header_start());
            let length = entry.central_header_start().saturating_sub(start);
            if members.len() >= MEMBERS_MAX || length > ZIP_DIRECTORY_MAX {
                return Err(End::refused(Reason::ArchiveLimit, format!("more than {MEMBERS_MAX} members")));
            }
            members.push(entry.into());
        }
        // Of members of one name the first is read.
        members.sort_by(|a, b| a.name_raw().cmp(b.name_raw()));
        let mut last: Option<&[u8]> = None;
        for entry in &members {
            let raw = entry.name_raw();
            let again = last.replace(raw) == Some(raw);
            if entry.is_dir() || is_hidden(raw) {
                continue;
            }
            // Names that are no UTF-8 are in the letters of DOS.
            let name = entry.name().map_or_else(|_| raw.to_vec(), |name| name.as_bytes().to_vec());
            let (part, bytes) = (below(at.part, relative(&name)), entry.size());
            let refusal = match (bad(&name), entry.is_file()) {
                (Some(what), _) => Some((Reason::BadMember, what)),
                (None, false) => Some((Reason::SpecialFile, "")),
                _ if again => Some((Reason::BadMember, NAME_AGAIN)),
                _ if entry.encrypted() => Some((Reason::BadMember, "locked with a password")),
                _ => None,
            };
            if let Some((reason, detail)) = refusal {
                self.refuse(&part, None, (reason, detail.to_owned()), bytes)?;
                continue;
            }
            let budget = self.budget;
            match entry.as_ref().with_reader(entries.reader_mut(), ZipReadOptions::new()) {
                Ok(member) => {
                    let inner = At { name: &part, part: &part, depth: at.depth + 1 };
                    self.member(inner, bytes, &mut Unpacked { inner: member, budget })?;
                }
                Err(error) => match damaged(error) {
                    End::Refused(refusal) => self.refuse(&part, None, refusal, bytes)?,
                    end => return Err(end),
                },
            }
        }
        Ok(())
    }

    pub(super) fn tar(&mut self, at: At<'_>, reader: &mut dyn Read) -> Flow {
        let mut seen = HashSet::new();
        let (mut long_name, mut long_size) = (None, None);
        let mut block = [0; TAR_BLOCK];
        let mut count = 0;
        while fill(reader, &mut block)? {
            // Two empty blocks end it; nobody writes one in the middle.
            if block.iter().all(|&byte| byte == 0) {
                break;
            }
            let header = checked(&block).ok_or_else(|| End::refused(Reason::Damaged, "the header of a member"))?;
            let size: u64 = header.entry_size()?;
            let kind = header.entry_type();
            let padding = |size: u64| size.next_multiple_of(TAR_BLOCK as u64) - size;
            if matches!(
                kind,
                EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader
            ) {
                if size > TAR_EXTENSION_MAX {
                    return Err(End::refused(Reason::ArchiveLimit, "the header of a member is too long"));
                }
                let mut content = Vec::new();
                reader.take(size).read_to_end(&mut content)?;
                skip(reader, padding(size))?;
                match kind {
                    EntryType::GNULongName => {
                        content.truncate(content.iter().position(|&byte| byte == 0).unwrap_or(content.len()));
                        long_name = Some(content);
                    }
                    EntryType::XHeader => {
                        for extension in PaxExtensions::new(&content).flatten() {
                            match extension.key_bytes() {
                                b"path" => long_name = Some(extension.value_bytes().to_vec()),
                                b"size" => long_size = extension.value().ok().and_then(|size| size.parse().ok()),
                                _ => {}
                            }
                        }
                    }
                    _ => {}
                }
                continue;
            }
            count += 1;
            if count > MEMBERS_MAX {
                return Err(End::refused(Reason::ArchiveLimit, format!("more than {MEMBERS_MAX} members")));
            }
            let name = long_name.take().unwrap_or_else(|| header.path_bytes().into_owned());
            let size = long_size.take().unwrap_or(size);
            if size > u64::MAX / 2 {
                return Err(End::refused(Reason::Damaged, "the size of a member"));
            }
            let mut content = reader.take(size);
            if !matches!(kind, EntryType::Directory) && !is_hidden(&name) {
                let part = below(at.part, relative(&name));
                let is_file = matches!(kind, EntryType::Regular | EntryType::Continuous);
                let refusal = match (bad(&name), is_file) {
                    (Some(what), _) => Some((Reason::BadMember, what)),
                    (None, false) => Some((Reason::SpecialFile, "")),
                    _ if !seen.insert(blake3::hash(&name)) => Some((Reason::BadMember, NAME_AGAIN)),
                    _ => None,
                };
                match refusal {
                    Some((reason, detail)) => self.refuse(&part, None, (reason, detail.to_owned()), size)?,
                    None => {
                        let inner = At { name: &part, part: &part, depth: at.depth + 1 };
                        self.member(inner, size, &mut content)?;
                    }
                }
            }
            let left = content.limit();
            skip(reader, left)?;
            skip(reader, padding(size))?;
        }
        Ok(())
    }
}

/// Fills the block; `false` at the end of the stream.
fn fill(reader: &mut dyn Read, block: &mut [u8]) -> io::Result<bool> {
    match reader.read(&mut block[..1])? {
        0 => Ok(false),
        _ => reader.read_exact(&mut block[1..]).map(|()| true),
    }
}

fn skip(reader: &mut dyn Read, bytes: u64) -> io::Result<()> {
    match io::copy(&mut reader.take(bytes), &mut io::sink())? == bytes {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
