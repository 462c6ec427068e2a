//! The small files in which a resource keeps what it must know until the next call: below `HA_RSCTMP`, so that a reboot clears them
//! together with what they describe.

use super::run::Context;
use crate::kernel::attr::Dir;
use crate::kernel::error::Result;

/// A file of one resource. Naming it touches nothing.
#[derive(Debug, Clone)]
pub struct StateFile {
    dir: Dir,
    name: String,
}

impl StateFile {
    /// The file of this resource, of the agent `agent`, that ends in `ending`.
    #[must_use]
    pub fn new(cx: &Context, agent: &str, ending: &str) -> Self {
        Self { dir: cx.root.dir(cx.env.state_dir()), name: format!("ocf-san.{agent}-{}.{ending}", file_name(cx.env.instance())) }
    }

    /// Its name in the directory.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is in it; `None` when it is not there.
    ///
    /// # Errors
    /// It is there and can not be read.
    pub fn read(&self) -> Result<Option<String>> {
        self.dir.read_opt(&self.name)
    }

    /// Replaces what is in it.
    ///
    /// # Errors
    /// The directory can not be made or written to.
    pub fn write(&self, content: &[u8]) -> Result<()> {
        match self.dir.replace_file(&self.name, content) {
            Err(e) if e.is_not_found() => {
                self.dir.create_all(0o755)?;
                self.dir.replace_file(&self.name, content)
            }
            other => other,
        }
    }

    /// Removes it.
    ///
    /// # Errors
    /// The directory is not writable. That it was not there is none.
    pub fn remove(&self) -> Result<()> {
        self.dir.unlink(&self.name).map(drop)
    }
}

/// A resource's name as part of a file name: `%` and two hexadecimal digits for every byte that is not plain.
#[must_use]
pub fn file_name(instance: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    instance.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02x}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_of_a_clone_or_with_a_slash_has_a_file_name_of_its_own() {
        let names: Vec<_> = ["p_vip:0", "p_vip%3a0", "../p_vip", "p_vip"].map(file_name).into();
        assert_eq!(names, ["p_vip%3a0", "p_vip%253a0", "..%2fp_vip", "p_vip"]);
    }
}
