//! The environment: one snapshot, then checked parameters.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::agent::Level;
use super::error::{Code, OcfError};
use super::spec::{Decl, Declared, Param, ParamValue};

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

    /// The name of the resource, `default` when unset (as ocf-shellfuncs has it).
    #[must_use]
    pub fn instance(&self) -> &str {
        self.get("OCF_RESOURCE_INSTANCE").filter(|s| !s.is_empty()).unwrap_or("default")
    }

    /// Whether Pacemaker has called, and not a person or a tester.
    #[must_use]
    pub fn is_by_pacemaker(&self) -> bool {
        self.get("OCF_RESKEY_crm_feature_set").is_some_and(|version| !version.is_empty())
    }

    /// Whether this monitor asks "is it here at all?": Pacemaker leaves the interval of a probe unset, others say 0.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.get("OCF_RESKEY_CRM_meta_interval").is_none_or(|ms| ms.trim().is_empty() || ms.trim() == "0")
    }

    /// The time-out that the caller gave this action, in whole milliseconds; `None` when it gave none that is a number above 0.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        let millis = self.get("OCF_RESKEY_CRM_meta_timeout")?.trim().parse().ok().filter(|ms| *ms > 0)?;
        Some(Duration::from_millis(millis))
    }

    /// How deep to look: `OCF_CHECK_LEVEL`, which Pacemaker passes without a prefix. What is not a number is logged and means 0.
    #[must_use]
    pub fn level(&self) -> Level {
        let text = self.get("OCF_CHECK_LEVEL").unwrap_or_default().trim();
        if text.is_empty() {
            return Level::Cheap;
        }
        text.parse().map_or_else(
            |_| {
                tracing::warn!("OCF_CHECK_LEVEL: not a whole number, taken as 0");
                Level::Cheap
            },
            Level::from_number,
        )
    }

    /// Whether a variable is set to yes in one of the spellings of `ocf_is_true`.
    #[must_use]
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|text| bool::parse(text) == Ok(true))
    }

    /// The text given for a parameter. An empty one counts as unset.
    fn given(&self, decl: &Decl) -> Option<&str> {
        self.get(&format!("OCF_RESKEY_{}", decl.name)).filter(|text| !text.is_empty())
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
    refused: BTreeSet<&'static str>,
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
            if let Some(text) = env.given(decl).or(decl.default) {
                param.check(text).map_err(|why| wrong(decl, why))?;
                values.insert(decl.name, text.to_owned());
            } else if decl.required {
                return Err(wrong(decl, "required, not set"));
            }
        }
        Ok(Self { values, refused: BTreeSet::new() })
    }

    /// As [`Params::check`], for a stop, which must work with a broken configuration: what is wrong or missing is logged, and the
    /// default, or nothing, stands in.
    #[must_use]
    pub fn lenient(env: &Env, declared: &[&'static dyn Declared]) -> Self {
        let mut values = BTreeMap::new();
        let mut refused = BTreeSet::new();
        for param in declared {
            let decl = param.decl();
            let good = |text: &&str| param.check(text).inspect_err(|why| tracing::warn!("{}: {why}", decl.name)).is_ok();
            if env.given(decl).is_some_and(|text| param.check(text).is_err()) {
                refused.insert(decl.name);
            }
            if let Some(text) = env.given(decl).filter(good).or(decl.default.filter(good)) {
                values.insert(decl.name, text.to_owned());
            } else if decl.required {
                tracing::warn!("{}: required, not set", decl.name);
            }
        }
        Self { values, refused }
    }

    /// Whether a value was given that is none, so that what stands in is not what was meant. Only a stop goes on then.
    #[must_use]
    pub fn is_refused<T: ParamValue>(&self, param: &Param<T>) -> bool {
        self.refused.contains(param.decl().name)
    }

    /// The value of a parameter that is required or has a default.
    ///
    /// # Errors
    /// [`Code::Configured`] when it is missing after all.
    pub fn get<T: ParamValue>(&self, param: &Param<T>) -> Result<T, OcfError> {
        self.opt(param)?.ok_or_else(|| wrong(param.decl(), "not set"))
    }

    /// The value of an optional parameter.
    ///
    /// # Errors
    /// [`Code::Configured`] when the text is not a value of its type.
    pub fn opt<T: ParamValue>(&self, param: &Param<T>) -> Result<Option<T>, OcfError> {
        let decl = param.decl();
        self.values.get(decl.name).map(|text| T::parse(text).map_err(|why| wrong(decl, why))).transpose()
    }
}

fn wrong(decl: &Decl, why: impl std::fmt::Display) -> OcfError {
    OcfError::new(Code::Configured, format_args!("{}: {why}", decl.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    static NAME: Param<String> = Param::required("name", "Name", "The name.");
    static COUNT: Param<u32> = Param::or("count", "3", "Count", "How many.");
    static DECLARED: &[&dyn Declared] = &[&NAME, &COUNT];

    fn env(vars: &[(&str, &str)]) -> Env {
        vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn a_probe_has_no_interval_or_0() {
        assert!(env(&[]).is_probe());
        assert!(env(&[("OCF_RESKEY_CRM_meta_interval", "0")]).is_probe());
        assert!(!env(&[("OCF_RESKEY_CRM_meta_interval", "10000")]).is_probe());
    }

    #[test]
    fn a_timeout_is_a_number_of_milliseconds_or_not_there() {
        let timeout = |text| env(&[("OCF_RESKEY_CRM_meta_timeout", text)]).timeout();
        assert_eq!(timeout("20000"), Some(Duration::from_secs(20)));
        for none in ["", "0", "20s", "-1", "99999999999999999999"] {
            assert_eq!(timeout(none), None, "{none}");
        }
        assert_eq!(env(&[]).timeout(), None);
    }

    #[test]
    fn a_check_level_falls_to_the_next_lower_one() {
        let level = |text| env(&[("OCF_CHECK_LEVEL", text)]).level();
        let expected = [
            ("", Level::Cheap),
            ("0", Level::Cheap),
            ("10", Level::Config),
            ("15", Level::Config),
            ("20", Level::Device),
            ("999", Level::Device),
        ];
        for (text, is) in expected {
            assert_eq!(level(text), is, "{text}");
        }
        assert_eq!(level("deep"), Level::Cheap);
        assert_eq!(env(&[]).level(), Level::Cheap);
        assert_eq!(env(&[("OCF_RESKEY_OCF_CHECK_LEVEL", "20")]).level(), Level::Cheap, "a parameter is no check level");
    }

    #[test]
    fn an_empty_value_counts_as_unset() {
        let params = Params::check(&env(&[("OCF_RESKEY_name", "x"), ("OCF_RESKEY_count", "")]), DECLARED).unwrap();
        assert_eq!(params.get(&COUNT), Ok(3));
        let missing = Params::check(&env(&[("OCF_RESKEY_name", "")]), DECLARED).unwrap_err();
        assert_eq!((missing.code, missing.reason.as_str()), (Code::Configured, "name: required, not set"));
    }

    #[test]
    fn a_wrong_value_is_refused_by_name_and_a_stop_makes_do_with_the_default() {
        let broken = env(&[("OCF_RESKEY_name", "x"), ("OCF_RESKEY_count", "many")]);
        let refused = Params::check(&broken, DECLARED).unwrap_err();
        assert_eq!((refused.code, refused.reason.as_str()), (Code::Configured, "count: not a whole number"));
        assert_eq!(Params::lenient(&broken, DECLARED).get(&COUNT), Ok(3));
        let nothing = Params::lenient(&env(&[]), DECLARED);
        assert_eq!(nothing.opt(&NAME), Ok(None));
    }
}
