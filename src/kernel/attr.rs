//! Read, write, create and remove below one root: the only file system calls on kernel trees.
//!
//! On the host the root is `/`. In a test it is a temporary directory, where a write creates its file and a removal takes the whole
//! directory along, because a plain directory has none of the entries that configfs makes and removes by itself.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::error::{KernelError, Result};

/// The directory that stands for `/`.
#[derive(Debug, Clone)]
pub struct Root {
    path: Arc<Path>,
    fake: bool,
}

impl Root {
    /// The machine itself. Only `main` calls this.
    #[must_use]
    pub fn host() -> Self {
        Self { path: Path::new("/").into(), fake: false }
    }

    /// A directory that looks like `/`, for tests.
    #[must_use]
    pub fn fake(path: &Path) -> Self {
        Self { path: path.into(), fake: true }
    }

    /// Whether this is a directory that only looks like a machine.
    #[must_use]
    pub fn is_fake(&self) -> bool {
        self.fake
    }

    /// Where the absolute path `path` of the machine is below this root.
    #[must_use]
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.path.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The directory at the absolute path `path`. Touches nothing.
    #[must_use]
    pub fn dir(&self, path: impl AsRef<Path>) -> Dir {
        Dir { path: self.path(path), fake: self.fake }
    }
}

/// `/proc` of the running kernel, to ask about a process: no directory can imitate one. Touches nothing.
#[must_use]
pub fn running_proc() -> Dir {
    Root::host().dir("/proc")
}

/// A directory of a kernel tree. Naming it touches nothing; the verbs act.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dir {
    path: PathBuf,
    fake: bool,
}

impl Dir {
    /// The directory `name` below this one. Touches nothing.
    #[must_use]
    pub fn dir(&self, name: impl AsRef<Path>) -> Self {
        Self { path: self.path.join(name), fake: self.fake }
    }

    /// Its path, root included.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its last component.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.file_name().and_then(|n| n.to_str()).unwrap_or_default()
    }

    /// Whether it is there. A failure to look counts as an error, never as "no".
    ///
    /// # Errors
    /// Anything but "not found" that `stat` says.
    pub fn exists(&self) -> Result<bool> {
        match fs::symlink_metadata(&self.path) {
            Ok(_) => Ok(true),
            Err(e) if is_absence(&e) => Ok(false),
            Err(e) => Err(KernelError::new("look at", &self.path, e)),
        }
    }

    /// Whether it is there and is a directory.
    ///
    /// # Errors
    /// As [`Dir::exists`].
    pub fn is_directory(&self) -> Result<bool> {
        match fs::metadata(&self.path) {
            Ok(meta) => Ok(meta.is_dir()),
            Err(e) if is_absence(&e) => Ok(false),
            Err(e) => Err(KernelError::new("look at", &self.path, e)),
        }
    }

    /// The number of the device that it is on, as `stat(2)` gives it.
    ///
    /// # Errors
    /// Whatever `stat` says.
    pub fn device(&self) -> Result<u64> {
        fs::metadata(&self.path).map(|m| m.dev()).map_err(|e| KernelError::new("look at", &self.path, e))
    }

    /// The size in bytes of the plain file at this path; `None` when it is something else.
    ///
    /// # Errors
    /// Whatever `stat` says.
    pub fn file_size(&self) -> Result<Option<u64>> {
        let meta = fs::metadata(&self.path).map_err(|e| KernelError::new("look at", &self.path, e))?;
        Ok(meta.is_file().then_some(meta.len()))
    }

    /// When what is at this path was last written, by the clock of the machine.
    ///
    /// # Errors
    /// Whatever `stat` says.
    pub fn written(&self) -> Result<SystemTime> {
        let meta = fs::metadata(&self.path).and_then(|meta| meta.modified());
        meta.map_err(|e| KernelError::new("look at", &self.path, e))
    }

    /// Reads the attribute `attr` without its final newline.
    ///
    /// # Errors
    /// Whatever `open` or `read` says, with the path.
    pub fn read(&self, attr: impl AsRef<Path>) -> Result<String> {
        let path = self.path.join(attr);
        let mut text = Vec::with_capacity(256);
        File::open(&path).and_then(|mut file| read_all(&mut file, &mut text)).map_err(|e| KernelError::new("read", &path, e))?;
        while text.last() == Some(&b'\n') {
            text.pop();
        }
        String::from_utf8(text).or_else(|e| Ok(String::from_utf8_lossy(e.as_bytes()).into_owned()))
    }

    /// Reads the attribute `attr`; `None` when it is not there.
    ///
    /// # Errors
    /// As [`Dir::read`], without "not found".
    pub fn read_opt(&self, attr: impl AsRef<Path>) -> Result<Option<String>> {
        match self.read(attr) {
            Ok(text) => Ok(Some(text)),
            Err(e) if is_absence(&e.source) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Writes one attribute by one `write(2)`. Never creates or truncates a real one.
    ///
    /// # Errors
    /// Whatever `open` or `write` says, with the path and never with the value.
    pub fn set(&self, attr: impl AsRef<Path>, value: &str) -> Result<()> {
        let path = self.path.join(attr);
        let once = || {
            if self.fake {
                path.parent().map_or(Ok(()), fs::create_dir_all)?;
            }
            let mut file = OpenOptions::new().write(true).create(self.fake).truncate(self.fake).open(&path)?;
            match file.write(value.as_bytes()) {
                Ok(n) if n < value.len() => Err(io::ErrorKind::WriteZero.into()),
                other => other.map(drop),
            }
        };
        once().map_err(|e| KernelError::new("write", &path, e))
    }

    /// Makes the directory; `false` when it was there already.
    ///
    /// # Errors
    /// Whatever `mkdir` says but "exists".
    pub fn create(&self) -> Result<bool> {
        let made = if self.fake && !self.path.exists() { fs::create_dir_all(&self.path) } else { fs::create_dir(&self.path) };
        match made {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(KernelError::new("create", &self.path, e)),
        }
    }

    /// Makes the directory and its parents with the given mode, on an ordinary file system.
    ///
    /// # Errors
    /// Whatever `mkdir` says but "exists".
    pub fn create_all(&self, mode: u32) -> Result<()> {
        fs::DirBuilder::new().recursive(true).mode(mode).create(&self.path).map_err(|e| KernelError::new("create", &self.path, e))
    }

    /// Removes the directory; `false` when it was not there.
    ///
    /// # Errors
    /// Whatever `rmdir` says but "not found".
    pub fn remove(&self) -> Result<bool> {
        let removed = if self.fake { fs::remove_dir_all(&self.path) } else { fs::remove_dir(&self.path) };
        gone(removed).map_err(|e| KernelError::new("remove", &self.path, e))
    }

    /// Makes the symbolic link `name` to `target`; `false` when it was there already.
    ///
    /// # Errors
    /// Whatever `symlink` says; "exists" only when what is there leads elsewhere.
    pub fn link(&self, name: &str, target: &Self) -> Result<bool> {
        let path = self.path.join(name);
        match std::os::unix::fs::symlink(&target.path, &path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && leads_to(&path, &target.path) => Ok(false),
            Err(e) => Err(KernelError::new("link", path, e)),
        }
    }

    /// Removes the symbolic link or file `name`; `false` when it was not there.
    ///
    /// # Errors
    /// Whatever `unlink` says but "not found".
    pub fn unlink(&self, name: &str) -> Result<bool> {
        let path = self.path.join(name);
        gone(fs::remove_file(&path)).map_err(|e| KernelError::new("remove", path, e))
    }

    /// Where the link `name` points to; `None` when there is no such link.
    ///
    /// # Errors
    /// Whatever `readlink` says but "not found" and "not a link".
    pub fn read_link(&self, name: &str) -> Result<Option<PathBuf>> {
        let path = self.path.join(name);
        match fs::read_link(&path) {
            Ok(target) => Ok(Some(target)),
            Err(e) if is_absence(&e) || e.raw_os_error() == Some(libc::EINVAL) => Ok(None),
            Err(e) => Err(KernelError::new("read", path, e)),
        }
    }

    /// The entries by name and whether each is a directory, sorted; empty when the directory is not there.
    ///
    /// # Errors
    /// Whatever `readdir` says but "not found".
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let list = || -> io::Result<Vec<Entry>> {
            let mut entries = Vec::new();
            for entry in fs::read_dir(&self.path)? {
                let entry = entry?;
                let kind = entry.file_type()?;
                if let Ok(name) = entry.file_name().into_string() {
                    entries.push(Entry { name, is_dir: kind.is_dir(), is_link: kind.is_symlink() });
                }
            }
            entries.sort();
            Ok(entries)
        };
        match list() {
            Ok(entries) => Ok(entries),
            Err(e) if is_absence(&e) => Ok(Vec::new()),
            Err(e) => Err(KernelError::new("list", &self.path, e)),
        }
    }

    /// The names of the directories below this one, sorted; empty when it is not there.
    ///
    /// # Errors
    /// As [`Dir::entries`].
    pub fn dirs(&self) -> Result<Vec<String>> {
        Ok(self.entries()?.into_iter().filter(|e| e.is_dir).map(|e| e.name).collect())
    }

    /// The names of the symbolic links in this directory, sorted; empty when it is not there.
    ///
    /// # Errors
    /// As [`Dir::entries`].
    pub fn links(&self) -> Result<Vec<String>> {
        Ok(self.entries()?.into_iter().filter(|e| e.is_link).map(|e| e.name).collect())
    }

    /// Replaces an ordinary file (not a kernel attribute) as a whole: new file with mode 0600, then rename.
    ///
    /// # Errors
    /// Whatever any step says, with the path of the file.
    pub fn replace_file(&self, name: &str, content: &[u8]) -> Result<()> {
        self.replace(name, content, false)
    }

    /// As [`Dir::replace_file`], and on the disk when this returns.
    ///
    /// # Errors
    /// As [`Dir::replace_file`].
    pub fn replace_file_for_good(&self, name: &str, content: &[u8]) -> Result<()> {
        self.replace(name, content, true)
    }

    fn replace(&self, name: &str, content: &[u8], is_for_good: bool) -> Result<()> {
        let path = self.path.join(name);
        let new = self.path.join(format!(".{name}.new"));
        let write = || {
            let _ = fs::remove_file(&new);
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(content)?;
            if is_for_good {
                file.sync_all()?;
            }
            fs::rename(&new, &path)?;
            if is_for_good { File::open(&self.path)?.sync_all() } else { Ok(()) }
        };
        write().map_err(|e| KernelError::new("write", &path, e))
    }
}

/// A directory entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Whether it is a symbolic link.
    pub is_link: bool,
}

/// Reads until the end without asking for the size first: a kernel attribute has none worth asking for.
fn read_all(file: &mut File, into: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = [0; 4096];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(n) => into.extend_from_slice(&chunk[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Whether both are one directory in the end.
fn leads_to(link: &Path, target: &Path) -> bool {
    let end = |path: &Path| fs::canonicalize(path).ok();
    end(link).is_some() && end(link) == end(target)
}

/// Not there, or its parent is not even a directory.
fn is_absence(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn gone(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(e) if is_absence(&e) => Ok(false),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        (dir, root)
    }

    #[test]
    fn naming_a_directory_touches_nothing() {
        let (_keep, root) = root();
        let dir = root.dir("/sys/kernel/config/target").dir("core");
        assert!(!dir.exists().unwrap());
        assert_eq!(dir.entries().unwrap(), []);
        assert_eq!(dir.read_opt("enable").unwrap(), None);
    }

    #[test]
    fn making_and_removing_twice_says_so_and_is_no_error() {
        let (_keep, root) = root();
        let dir = root.dir("/a");
        assert!(dir.create().unwrap());
        assert!(!dir.create().unwrap());
        assert!(dir.remove().unwrap());
        assert!(!dir.remove().unwrap());
    }

    #[test]
    fn an_error_names_the_path_and_never_the_value() {
        let real = Dir { path: "/nonexistent".into(), fake: false };
        let text = real.set("password", "hunter2").unwrap_err().to_string();
        assert_eq!(text, "write /nonexistent/password: no such file or directory");
    }
}
