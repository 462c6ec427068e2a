//! A value of a JSON file that knows where it stands, so that every complaint names the key.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// What is wrong in a configuration file: the file, the key, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// The key, such as `targets[0].tpgs[0].luns[1].index`; empty for the file as a whole.
    pub key: String,
    /// What is wrong there. Never a value that may be a secret.
    pub why: String,
}

impl ConfigError {
    /// An error of the file as a whole.
    #[must_use]
    pub fn file(file: &Path, why: impl fmt::Display) -> Self {
        Self { file: file.to_owned(), key: String::new(), why: why.to_string() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.why)
    }
}

impl std::error::Error for ConfigError {}

/// A result that may be a complaint about the file.
pub type Result<T> = std::result::Result<T, ConfigError>;

/// A value and where it stands.
#[derive(Clone, Copy)]
pub struct At<'a> {
    value: &'a Value,
    up: Option<&'a At<'a>>,
    step: Step<'a>,
    file: &'a Path,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Top,
    Key(&'a str),
    Index(usize),
}

impl<'a> At<'a> {
    /// The whole file.
    #[must_use]
    pub fn top(value: &'a Value, file: &'a Path) -> Self {
        Self { value, up: None, step: Step::Top, file }
    }

    /// A complaint about this value.
    pub fn error(&self, why: impl fmt::Display) -> ConfigError {
        ConfigError { file: self.file.to_owned(), key: self.path(), why: why.to_string() }
    }

    /// A complaint about the key `key` of this object.
    pub fn error_at(&self, key: &str, why: impl fmt::Display) -> ConfigError {
        let here = self.path();
        let key = if here.is_empty() { key.to_owned() } else { format!("{here}.{key}") };
        ConfigError { file: self.file.to_owned(), key, why: why.to_string() }
    }

    /// Where it stands: `targets[0].tpgs[1].tag`.
    #[must_use]
    pub fn path(&self) -> String {
        let up = self.up.map(At::path).unwrap_or_default();
        match self.step {
            Step::Top => up,
            Step::Key(key) if up.is_empty() => key.to_owned(),
            Step::Key(key) => format!("{up}.{key}"),
            Step::Index(index) => format!("{up}[{index}]"),
        }
    }

    /// The keys and values of this object, in the order of the file.
    ///
    /// # Errors
    /// It is no object.
    pub fn object(&'a self) -> Result<impl Iterator<Item = (&'a str, At<'a>)>> {
        let map = self.value.as_object().ok_or_else(|| self.error("not an object"))?;
        Ok(map.iter().map(|(k, v)| (k.as_str(), self.below(v, Step::Key(k)))))
    }

    /// The value of a key; `None` when it is absent or null.
    ///
    /// # Errors
    /// This is no object.
    pub fn opt(&'a self, key: &'a str) -> Result<Option<At<'a>>> {
        let map = self.value.as_object().ok_or_else(|| self.error("not an object"))?;
        Ok(map.get(key).filter(|v| !v.is_null()).map(|v| self.below(v, Step::Key(key))))
    }

    /// The value of a key that must be there.
    ///
    /// # Errors
    /// It is absent.
    pub fn req(&'a self, key: &'a str) -> Result<At<'a>> {
        self.opt(key)?.ok_or_else(|| self.error_at(key, "missing"))
    }

    /// Parses each element of the list under `key`; an absent list is empty.
    ///
    /// # Errors
    /// It is no list, or `parse` complains.
    pub fn list<T>(&'a self, key: &'a str, parse: impl Fn(&At<'_>) -> Result<T>) -> Result<Vec<T>> {
        let Some(list) = self.opt(key)? else { return Ok(Vec::new()) };
        let items = list.value.as_array().ok_or_else(|| list.error("not a list"))?;
        items
            .iter()
            .enumerate()
            .map(|(index, value)| parse(&At { value, up: Some(&list), step: Step::Index(index), file: self.file }))
            .collect()
    }

    /// A text.
    ///
    /// # Errors
    /// It is none.
    pub fn text(&self) -> Result<&'a str> {
        self.value.as_str().ok_or_else(|| self.error("not a text"))
    }

    /// A whole number up to `max`, also when written as a text.
    ///
    /// # Errors
    /// It is none, or greater.
    pub fn number(&self, max: u64) -> Result<u64> {
        let number = self.value.as_u64().or_else(|| self.value.as_str().and_then(|t| t.parse().ok()));
        match number {
            Some(number) if number <= max => Ok(number),
            Some(_) => Err(self.error(format_args!("greater than {max}"))),
            None => Err(self.error("not a whole number")),
        }
    }

    /// A truth value, also as 0 or 1.
    ///
    /// # Errors
    /// It is none.
    pub fn truth(&self) -> Result<bool> {
        match self.value {
            Value::Bool(truth) => Ok(*truth),
            Value::Number(n) if n.as_u64() == Some(0) => Ok(false),
            Value::Number(n) if n.as_u64() == Some(1) => Ok(true),
            _ => Err(self.error("neither true nor false")),
        }
    }

    /// A scalar as an attribute's text: numbers in decimal, truth values as 0 and 1.
    ///
    /// # Errors
    /// It is a list or an object, or a text with a line end.
    pub fn scalar(&self) -> Result<String> {
        match self.value {
            Value::Bool(truth) => Ok(u8::from(*truth).to_string()),
            Value::Number(n) => Ok(n.to_string()),
            Value::String(text) if text.contains(['\n', '\0']) => Err(self.error("contains a line end or NUL")),
            Value::String(text) => Ok(text.clone()),
            _ => Err(self.error("not a plain value")),
        }
    }

    fn below(&'a self, value: &'a Value, step: Step<'a>) -> At<'a> {
        At { value, up: Some(self), step, file: self.file }
    }
}
