//! What the parameters of `cLVM` may say, beyond texts and numbers.

use std::time::Duration;

use crate::ocf::spec::{Content, ParamValue};

/// How it is ensured that only one node writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// By what is below.
    Local,
    /// By the owner in the metadata.
    SystemId,
    /// By a tag and `volume_list`.
    Tagging,
    /// By locks.
    Lvmlockd,
}

impl Mode {
    /// Its name as a parameter.
    ///
    /// # Errors
    /// There is no such mode.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "local" => Ok(Self::Local),
            "system_id" => Ok(Self::SystemId),
            "tagging" => Ok(Self::Tagging),
            "lvmlockd" => Ok(Self::Lvmlockd),
            "clvmd" => Err("clvmd is gone since lvm2 2.03, lvmlockd has replaced it".to_owned()),
            _ => Err("none of local, system_id, tagging, lvmlockd".to_owned()),
        }
    }

    /// Its name as a parameter.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::SystemId => "system_id",
            Self::Tagging => "tagging",
            Self::Lvmlockd => "lvmlockd",
        }
    }
}

/// The text of a mode, right or wrong: what a wrong one means depends on the action.
#[derive(Debug, Clone)]
pub struct ModeText(pub String);

impl ParamValue for ModeText {
    const CONTENT: Content = Content::String;
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
}

/// `activation_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// On one node.
    Exclusive,
    /// On several.
    Shared,
}

impl ParamValue for Sharing {
    const CONTENT: Content = Content::Select(&["exclusive", "shared"]);
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "exclusive" => Ok(Self::Exclusive),
            "shared" => Ok(Self::Shared),
            _ => Err("neither exclusive nor shared".to_owned()),
        }
    }
}

/// Per cent.
#[derive(Debug, Clone, Copy)]
pub struct Percent(pub u8);

impl ParamValue for Percent {
    const CONTENT: Content = Content::Integer;
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().ok().filter(|n| (1..=100).contains(n)).map(Self).ok_or_else(|| "not a number from 1 to 100".to_owned())
    }
}

/// A time of at least a second.
#[derive(Debug, Clone, Copy)]
pub struct Seconds(pub Duration);

impl ParamValue for Seconds {
    const CONTENT: Content = Content::Integer;
    fn parse(text: &str) -> Result<Self, String> {
        let seconds: Option<u32> = text.parse().ok().filter(|n| *n > 0);
        seconds.map(|n| Self(Duration::from_secs(n.into()))).ok_or_else(|| "not a number of seconds above 0".to_owned())
    }
}

/// A tag of LVM.
#[derive(Debug, Clone)]
pub struct Tag(pub String);

impl ParamValue for Tag {
    const CONTENT: Content = Content::String;
    fn parse(text: &str) -> Result<Self, String> {
        // lvm(8), "Tags".
        let is_good = |b: u8| b.is_ascii_alphanumeric() || b"_+.-/=!:&#".contains(&b);
        if text.len() <= 1024 && !text.starts_with('-') && text.bytes().all(is_good) {
            return Ok(Self(text.to_owned()));
        }
        Err("not a tag: letters, digits and _+.-/=!:&# only, and no - at the beginning".to_owned())
    }
}

/// System ids.
#[derive(Debug, Clone, Default)]
pub struct SystemIds(pub Vec<String>);

impl ParamValue for SystemIds {
    const CONTENT: Content = Content::String;
    fn parse(text: &str) -> Result<Self, String> {
        // lvmsystemid(7), "Limitations and warnings".
        let is_good = |b: u8| b.is_ascii_alphanumeric() || b"._-+".contains(&b);
        let ids = items(text);
        match ids.iter().find(|id| !id.bytes().all(is_good)) {
            Some(id) => Err(format!("{id}: not a system id")),
            None => Ok(Self(ids)),
        }
    }
}

/// Tags, or patterns of them.
#[derive(Debug, Clone, Default)]
pub struct TagPatterns(pub Vec<String>);

impl ParamValue for TagPatterns {
    const CONTENT: Content = Content::String;
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(items(text)))
    }
}

/// Paths of devices.
#[derive(Debug, Clone, Default)]
pub struct DeviceList(pub Vec<String>);

impl ParamValue for DeviceList {
    const CONTENT: Content = Content::String;
    fn parse(text: &str) -> Result<Self, String> {
        let paths = items(text);
        match paths.iter().find(|path| !path.starts_with("/dev/") || path.contains("/../")) {
            Some(path) => Err(format!("{path}: not below /dev")),
            None => Ok(Self(paths)),
        }
    }
}

/// Which logical volumes of the volume group are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    included: Vec<String>,
    excluded: Vec<String>,
}

impl Scope {
    /// Reads `lvname`.
    ///
    /// # Errors
    /// A pattern that matches no name that LVM takes.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_good = |b: u8| b.is_ascii_alphanumeric() || b"+_.-*?".contains(&b);
        let mut scope = Self::default();
        for item in items(text) {
            let (list, pattern) = match item.strip_prefix('!') {
                Some(pattern) => (&mut scope.excluded, pattern),
                None => (&mut scope.included, item.as_str()),
            };
            if pattern.is_empty() || pattern.starts_with('-') || !pattern.bytes().all(is_good) {
                return Err(format!("{item}: not a name or pattern of logical volumes"));
            }
            list.push(pattern.to_owned());
        }
        Ok(scope)
    }

    /// What means no logical volume at all.
    #[must_use]
    pub fn nothing() -> Self {
        Self { included: Vec::new(), excluded: vec!["*".to_owned()] }
    }

    /// Whether all of the volume group is meant.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.included.is_empty() && self.excluded.is_empty()
    }

    /// Whether the logical volume of this name is meant.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let is_included = self.included.is_empty() || self.included.iter().any(|pattern| matches(pattern, name));
        is_included && !self.excluded.iter().any(|pattern| matches(pattern, name))
    }

    /// Those that are named in full.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        self.included.iter().map(String::as_str).filter(|pattern| !pattern.contains(['*', '?']) && self.has(pattern))
    }
}

/// What blanks or commas separate.
fn items(text: &str) -> Vec<String> {
    text.split([' ', '\t', '\n', ',']).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// Whether `text` is what `pattern` describes: `*` is anything, `?` any one character.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where the last * was, and from where on it was taken to match nothing.
    let mut back = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            back = Some((p, t));
            p += 1;
        } else if pattern.get(p).is_some_and(|b| *b == b'?' || Some(b) == text.get(t)) {
            p += 1;
            t += 1;
        } else {
            let Some((star, from)) = back else { return false };
            back = Some((star, from + 1));
            p = star + 1;
            t = from + 1;
        }
    }
    pattern.iter().skip(p).all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_the_whole_name() {
        for (pattern, name) in
            [("lun*", "lun0"), ("*", ""), ("l?n", "lun"), ("*-data", "a-b-data"), ("a*b*c", "axxbyyc"), ("lun0", "lun0")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("lun", "lun0"), ("lun?", "lun"), ("*-data", "a-data-b"), ("a*b*c", "axxbyy"), ("", "x")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_scope_is_names_patterns_and_exceptions() {
        let scope = Scope::parse("lun*, data !lun9\n!*tmp").unwrap();
        let meant: Vec<_> = ["lun0", "lun9", "lun1tmp", "data", "other"].into_iter().filter(|name| scope.has(name)).collect();
        assert_eq!((meant, scope.named().collect::<Vec<_>>(), scope.is_all()), (vec!["lun0", "data"], vec!["data"], false));
        assert!(Scope::parse(" ,").unwrap().is_all() && Scope::parse("").unwrap().has("anything"));
        assert!(Scope::parse("!tmp").unwrap().has("lun0") && !Scope::parse("!tmp").unwrap().has("tmp"));
        for wrong in ["a/b", "-an", "!", "lun;reboot", "größe", "[ab]"] {
            assert!(Scope::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_mode_that_is_gone_is_refused_with_what_replaced_it() {
        assert!(Mode::parse("clvmd").unwrap_err().contains("lvmlockd"));
        assert!(Mode::parse("Local").is_err());
        for mode in [Mode::Local, Mode::SystemId, Mode::Tagging, Mode::Lvmlockd] {
            assert_eq!(Mode::parse(mode.as_str()), Ok(mode));
        }
    }

    #[test]
    fn wrong_values_are_refused() {
        assert!(["0", "101", "-1", "many", ""].iter().all(|text| Percent::parse(text).is_err()));
        assert!(["0", "-1", "1.5"].iter().all(|text| Seconds::parse(text).is_err()));
        assert!(["-x", "a b", "a\"b", "a,b"].iter().all(|text| Tag::parse(text).is_err()) && Tag::parse("node1.example").is_ok());
        assert!(SystemIds::parse("a b;c").is_err() && DeviceList::parse("/etc/passwd").is_err());
        assert!(DeviceList::parse("/dev/../etc/passwd").is_err());
        assert_eq!(DeviceList::parse("/dev/drbd0, /dev/sdb").unwrap().0, ["/dev/drbd0", "/dev/sdb"]);
    }
}
