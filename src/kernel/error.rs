//! What went wrong with the kernel, where and why. Never the value that was written: it may be a secret.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A failed operation on a kernel tree, a device or an external command.
#[derive(Debug)]
pub struct KernelError {
    /// What was being done, as a verb: "write", "create", "run".
    pub doing: &'static str,
    /// The file, directory, device or program.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

/// The result of a kernel operation.
pub type Result<T> = std::result::Result<T, KernelError>;

impl KernelError {
    /// An error of `doing` something to `path`.
    #[must_use]
    pub fn new(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self { doing, path: path.into(), source }
    }

    /// The error number that the kernel gave, if it did.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        self.source.raw_os_error()
    }

    /// Whether the thing was not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // "Invalid argument (os error 22)" → "invalid argument"
        let why = self.source.to_string();
        let why = why.split(" (os error").next().unwrap_or(&why);
        write!(f, "{} {}: {}", self.doing, self.path.display(), why.to_lowercase())
    }
}

impl std::error::Error for KernelError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
