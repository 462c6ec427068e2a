//! How an agent is declared: once, as data. Meta-data, parsing, defaults, `--help`, dispatch and the contract tests are loops over this.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

use super::env::Params;
use super::error::OcfError;
use super::run::Agent;

/// An agent, declared.
pub struct AgentSpec {
    /// The file name it is called by, such as `LIO`.
    pub name: &'static str,
    /// One line.
    pub short: &'static str,
    /// Paragraphs, plain text.
    pub long: &'static str,
    /// Its parameters, in the order in which they are shown.
    pub params: &'static [&'static dyn Declared],
    /// Its actions, without `meta-data`, `validate-all` and `status`, which every agent has.
    pub actions: &'static [ActionSpec],
    /// Makes the agent from checked parameters. Touches nothing.
    pub build: fn(&Params) -> Result<Box<dyn Agent>, OcfError>,
}

impl AgentSpec {
    /// The declaration of an action; the first of several monitors.
    #[must_use]
    pub fn action(&self, name: &str) -> Option<&ActionSpec> {
        self.actions.iter().find(|a| a.name == name)
    }
}

/// An advertised action.
#[derive(Debug, Clone, Copy)]
pub struct ActionSpec {
    /// `start`, `monitor` and so on.
    pub name: &'static str,
    /// The advised time-out, used by us when Pacemaker gives none.
    pub timeout: Duration,
    /// For a recurring monitor.
    pub interval: Option<Duration>,
    /// The check level of a monitor.
    pub depth: Option<u8>,
    /// `Promoted` or `Unpromoted`, for monitors of promotable agents.
    pub role: Option<&'static str>,
}

impl ActionSpec {
    /// An action with its advised time-out in seconds.
    #[must_use]
    pub const fn new(name: &'static str, timeout_secs: u64) -> Self {
        Self { name, timeout: Duration::from_secs(timeout_secs), interval: None, depth: None, role: None }
    }

    /// Repeated every `secs` seconds.
    #[must_use]
    pub const fn every(mut self, secs: u64) -> Self {
        self.interval = Some(Duration::from_secs(secs));
        self
    }

    /// With this check level.
    #[must_use]
    pub const fn depth(mut self, depth: u8) -> Self {
        self.depth = Some(depth);
        self
    }

    /// For instances in this role: `Promoted` or `Unpromoted`, with a capital or `pcs resource create` fails on the CIB schema.
    #[must_use]
    pub const fn role(mut self, role: &'static str) -> Self {
        self.role = Some(role);
        self
    }
}

/// What a parameter's text may be, as meta-data says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Free text.
    String,
    /// A whole number.
    Integer,
    /// yes or no, in all the spellings of `ocf_is_true`.
    Boolean,
    /// One of these words.
    Select(&'static [&'static str]),
}

/// A type that a parameter can have.
pub trait ParamValue: Sized + 'static {
    /// How meta-data describes it.
    const CONTENT: Content;

    /// Reads the text.
    ///
    /// # Errors
    /// A complaint that does not name the parameter; the caller does.
    fn parse(text: &str) -> Result<Self, String>;
}

/// What is declared of a parameter, whatever its type.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "what meta-data says of a parameter is yes or no")]
pub struct Decl {
    /// Name, without `OCF_RESKEY_`.
    pub name: &'static str,
    /// One line.
    pub short: &'static str,
    /// Paragraphs, plain text.
    pub long: &'static str,
    /// The text that stands for an unset parameter.
    pub default: Option<&'static str>,
    /// Whether it must be given.
    pub required: bool,
    /// Whether no two resources may have the same value.
    pub unique: bool,
    /// Whether a change takes effect by `reload-agent`, without a restart.
    pub reloadable: bool,
    /// The parameter that replaces this one.
    pub replaced_by: Option<&'static str>,
    /// Whether it is accepted for the sake of old configurations and does nothing.
    pub is_obsolete: bool,
    /// How meta-data describes the content.
    pub content: Content,
}

/// A parameter: the typed key by which its value is fetched from [`Params`].
#[derive(Debug)]
pub struct Param<T> {
    decl: Decl,
    kind: PhantomData<fn() -> T>,
}

impl<T: ParamValue> Param<T> {
    const fn new(name: &'static str, short: &'static str, long: &'static str) -> Self {
        let decl = Decl {
            name,
            short,
            long,
            default: None,
            required: false,
            unique: false,
            reloadable: false,
            replaced_by: None,
            is_obsolete: false,
            content: T::CONTENT,
        };
        Self { decl, kind: PhantomData }
    }

    /// One that must be given.
    #[must_use]
    pub const fn required(name: &'static str, short: &'static str, long: &'static str) -> Self {
        let mut param = Self::new(name, short, long);
        param.decl.required = true;
        param
    }

    /// One that may be left out and then has no value.
    #[must_use]
    pub const fn optional(name: &'static str, short: &'static str, long: &'static str) -> Self {
        Self::new(name, short, long)
    }

    /// One that may be left out and then has this value.
    #[must_use]
    pub const fn or(name: &'static str, default: &'static str, short: &'static str, long: &'static str) -> Self {
        let mut param = Self::new(name, short, long);
        param.decl.default = Some(default);
        param
    }

    /// No two resources may have the same value.
    #[must_use]
    pub const fn unique(mut self) -> Self {
        self.decl.unique = true;
        self
    }

    /// A change takes effect without a restart.
    #[must_use]
    pub const fn reloadable(mut self) -> Self {
        self.decl.reloadable = true;
        self
    }

    /// Still accepted, but another one should be used.
    #[must_use]
    pub const fn replaced_by(mut self, name: &'static str) -> Self {
        self.decl.replaced_by = Some(name);
        self
    }

    /// Still accepted, and without effect.
    #[must_use]
    pub const fn obsolete(mut self) -> Self {
        self.decl.is_obsolete = true;
        self
    }
}

/// A parameter of whatever type.
pub trait Declared: Sync {
    /// What is declared of it.
    fn decl(&self) -> &Decl;

    /// Whether the text is a value of its type.
    ///
    /// # Errors
    /// The complaint, without the parameter's name.
    fn check(&self, text: &str) -> Result<(), String>;
}

impl<T: ParamValue> Declared for Param<T> {
    fn decl(&self) -> &Decl {
        &self.decl
    }

    fn check(&self, text: &str) -> Result<(), String> {
        T::parse(text).map(drop)
    }
}

impl ParamValue for String {
    const CONTENT: Content = Content::String;
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl ParamValue for bool {
    const CONTENT: Content = Content::Boolean;
    /// As `ocf_is_true` reads it (resource-agents, ocf-shellfuncs), and the same words for "no"; anything else is refused.
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "yes" | "true" | "1" | "YES" | "TRUE" | "True" | "ja" | "on" | "ON" => Ok(true),
            "no" | "false" | "0" | "NO" | "FALSE" | "False" | "nein" | "off" | "OFF" => Ok(false),
            _ => Err("neither yes nor no".to_owned()),
        }
    }
}

impl ParamValue for u32 {
    const CONTENT: Content = Content::Integer;
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "not a whole number".to_owned())
    }
}

/// An absolute path.
impl ParamValue for PathBuf {
    const CONTENT: Content = Content::String;
    fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('/') { Ok(Self::from(text)) } else { Err("not an absolute path".to_owned()) }
    }
}
