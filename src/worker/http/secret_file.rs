//! Files that a setting names.
//!
//! A superuser names the file, but others may own the folder it is in. So what is judged is the file that has been opened,
//! not one that bore its name a moment before, and nothing is waited for: opening a pipe would be.

use std::fs::File;
use std::io::Read;

use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::Errno;
use rustix::process::geteuid;

/// A password, a token and a key have a few kilobytes.
const LARGEST_SECRET: u64 = 64 * 1024;

/// A system's whole bundle of certificates has a few hundred.
const LARGEST_PUBLIC: u64 = 4 * 1024 * 1024;

/// A file that only the server's user may read. The error is the rule that it breaks.
pub fn secret(path: &str) -> Result<Vec<u8>, String> {
    let file = opened(path, OFlags::NOFOLLOW)?;
    let state = fstat(&file).map_err(|errno| errno.to_string())?;
    if state.st_uid != geteuid().as_raw() {
        return Err("it must be owned by the server's user".into());
    }
    if state.st_mode & 0o077 != 0 {
        return Err("group and others must have no rights to it (chmod 600)".into());
    }
    content(file, LARGEST_SECRET)
}

/// A file that anybody may read.
pub fn public(path: &str) -> Result<Vec<u8>, String> {
    content(opened(path, OFlags::empty())?, LARGEST_PUBLIC)
}

fn opened(path: &str, flags: OFlags) -> Result<File, String> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK | flags;
    let file = open(path, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::LOOP => "it must not be a symbolic link".to_owned(),
        Errno::NOENT | Errno::NOTDIR => "there is no such file".to_owned(),
        Errno::ACCESS => "the server's user may not read it".to_owned(),
        other => std::io::Error::from(other).to_string(),
    })?;
    let state = fstat(&file).map_err(|errno| errno.to_string())?;
    if FileType::from_raw_mode(state.st_mode) != FileType::RegularFile {
        return Err("it must be a regular file".into());
    }
    Ok(File::from(file))
}

fn content(file: File, most: u64) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    file.take(most + 1).read_to_end(&mut content).map_err(|error| error.to_string())?;
    // It may have grown since its size was told.
    if content.len() as u64 > most {
        return Err(format!("it must have at most {} kB", most / 1024));
    }
    Ok(content)
}
