//! Programs that a test writes, and that are run while other tests of the same process start theirs.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "of tests")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes an executable file, by another process: if this one wrote it, what another thread forks in that moment would have it open for
/// writing for a while, and whoever runs it then would get "text file busy" (execve(2), ETXTBSY).
pub fn write(path: impl AsRef<Path>, text: &str) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer =
        Command::new("/bin/sh").args(["-c", "cat >\"$0\" && chmod 755 \"$0\""]).arg(path).stdin(Stdio::piped()).spawn().unwrap();
    writer.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success(), "{}", path.display());
}
