//! The environment: one snapshot, then checked parameters.

use std::collections::BTreeMap;

use super::error::{Code, OcfError};
use super::spec::{Declared, Param, ParamValue};

/// One snapshot of the process environment.
#[derive(Debug, Clone, Default)]
pub struct Env {
    vars: BTreeMap<String, String>,
}

impl Env {
    /// The environment of this process. Values that are not UTF-8 are read lossily.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn snapshot() -> Self {
        std::env::vars_os().map(|(k, v)| (k.to_string_lossy().into_owned(), v.to_string_lossy().into_owned())).collect()
    }

    /// A variable, `None` when unset.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str)
    }

    /// The same with one variable set to something else.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.vars.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The time-out that the caller gave this action, in whole milliseconds; `None` when it gave none that is a number above 0.
    #[must_use]
    pub fn timeout(&self) -> Option<std::time::Duration> {
        let millis = self.get("OCF_RESKEY_CRM_meta_timeout")?.trim().parse().ok().filter(|ms| *ms > 0)?;
        Some(std::time::Duration::from_millis(millis))
    }

    /// How deep to look.
    #[must_use]
    pub fn level(&self) -> super::run::Level {
        super::run::Level::from_number(self.get("OCF_CHECK_LEVEL").and_then(|text| text.trim().parse().ok()).unwrap_or_default())
    }

    /// The name of the resource, `default` when unset (as ocf-shellfuncs has it).
    #[must_use]
    pub fn instance(&self) -> &str {
        self.get("OCF_RESOURCE_INSTANCE").filter(|s| !s.is_empty()).unwrap_or("default")
    }

    /// The directory for state that a reboot must clear: `HA_RSCTMP`, normally `/run/resource-agents`.
    #[must_use]
    pub fn state_dir(&self) -> &str {
        self.get("HA_RSCTMP").filter(|s| s.starts_with('/')).unwrap_or("/run/resource-agents")
    }
}

impl FromIterator<(String, String)> for Env {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(vars: I) -> Self {
        Self { vars: vars.into_iter().collect() }
    }
}

/// The parameters of one agent, every one checked.
#[derive(Debug, Clone, Default)]
pub struct Params {
    values: BTreeMap<&'static str, String>,
}

impl Params {
    /// Checks every declared parameter of the environment. An empty value counts as unset.
    ///
    /// # Errors
    /// [`Code::Configured`] for the first that is missing or of the wrong type, with its name.
    pub fn check(env: &Env, declared: &[&'static dyn Declared]) -> Result<Self, OcfError> {
        let mut values = BTreeMap::new();
        for param in declared {
            let decl = param.decl();
            let given = env.get(&format!("OCF_RESKEY_{}", decl.name)).filter(|v| !v.is_empty());
            if let Some(text) = given.or(decl.default) {
                param.check(text).map_err(|why| OcfError::new(Code::Configured, format_args!("{}: {why}", decl.name)))?;
                values.insert(decl.name, text.to_owned());
            } else if decl.required {
                return Err(OcfError::new(Code::Configured, format_args!("{}: required, not set", decl.name)));
            }
        }
        Ok(Self { values })
    }

    /// The value of a parameter that is required or has a default.
    ///
    /// # Errors
    /// [`Code::Configured`] when it is missing after all.
    pub fn get<T: ParamValue>(&self, param: &Param<T>) -> Result<T, OcfError> {
        let name = param.decl().name;
        self.opt(param)?.ok_or_else(|| OcfError::new(Code::Configured, format_args!("{name}: not set")))
    }

    /// The value of an optional parameter.
    ///
    /// # Errors
    /// [`Code::Configured`] when the text is not a value of its type.
    pub fn opt<T: ParamValue>(&self, param: &Param<T>) -> Result<Option<T>, OcfError> {
        let name = param.decl().name;
        let text = self.values.get(name);
        text.map(|text| T::parse(text).map_err(|why| OcfError::new(Code::Configured, format_args!("{name}: {why}")))).transpose()
    }
}
