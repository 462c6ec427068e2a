//! The constraint that a fence handler places: promote only on these nodes. Its ids are those of crm-fence-peer.sh, so that one
//! finds, understands and removes what the other has placed.

use super::Cib;
use crate::kernel::xml::Element;

/// The node attribute by which nodes are told.
const UNAME: &str = "#uname";

const NEVER: &str = "-INFINITY";

/// The ids of a constraint and of its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ids {
    prefix: String,
    clone: String,
}

impl Ids {
    fn constraint(&self) -> String {
        format!("{}-{}", self.prefix, self.clone)
    }
    fn rule(&self) -> String {
        format!("{}-rule-{}", self.prefix, self.clone)
    }
    /// The only expression has no number, as with the handler for 8.4.
    fn expression(&self, at: Option<usize>) -> String {
        match at {
            None => format!("{}-expr-{}", self.prefix, self.clone),
            Some(at) => format!("{}-expr-{at}-{}", self.prefix, self.clone),
        }
    }
}

/// The constraint that should be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    ids: Ids,
    role: String,
    allowed: Vec<String>,
}

/// What there is with the id of a [`Fence`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    None,
    /// A constraint that allows these nodes only.
    Only(Vec<String>),
    /// Something that this program would not have written.
    Unknown,
}

/// The beginning of the ids for a DRBD resource: `drbd-fence-by-handler`, or another one, and the resource.
fn prefix_for(resource: &str, given: Option<&str>) -> String {
    let prefix = given.filter(|prefix| !prefix.is_empty()).unwrap_or("drbd-fence-by-handler");
    // An id may not contain everything that a resource's name may.
    let resource = resource.replace(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c), "_");
    if prefix.ends_with(&format!("-{resource}")) { prefix.to_owned() } else { format!("{prefix}-{resource}") }
}

impl Fence {
    /// Only these nodes may promote `clone`, which runs the DRBD resource `resource`.
    #[must_use]
    pub fn new(resource: &str, clone: &str, prefix: Option<&str>, role: &str, allowed: &[&str]) -> Self {
        let mut allowed: Vec<_> = allowed.iter().map(|node| (*node).to_owned()).collect();
        allowed.sort();
        allowed.dedup();
        let ids = Ids { prefix: prefix_for(resource, prefix), clone: clone.to_owned() };
        Self { ids, role: role.to_owned(), allowed }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> String {
        self.ids.constraint()
    }

    /// Whether it allows these nodes and no others.
    #[must_use]
    pub fn allows_just(&self, nodes: &[String]) -> bool {
        self.allowed.len() == nodes.len() && nodes.iter().all(|node| self.allows(node))
    }

    /// Whether this node may.
    #[must_use]
    pub fn allows(&self, node: &str) -> bool {
        self.allowed.iter().any(|allowed| allowed == node)
    }

    /// As an element of the section `constraints`.
    #[must_use]
    pub fn xml(&self) -> String {
        let one = |(at, node): (usize, &String)| {
            let id = self.ids.expression((self.allowed.len() > 1).then_some(at));
            format!(r#"<expression attribute="{UNAME}" operation="ne" value="{}" id="{}"/>"#, escape(node), escape(&id))
        };
        let expressions: String = self.allowed.iter().enumerate().map(one).collect();
        format!(
            r#"<rsc_location rsc="{}" id="{}"><rule role="{}" score="{NEVER}" id="{}">{expressions}</rule></rsc_location>"#,
            escape(&self.ids.clone),
            escape(&self.id()),
            escape(&self.role),
            escape(&self.ids.rule())
        )
    }

    /// What names it in a deletion.
    #[must_use]
    pub fn reference(&self) -> String {
        format!(r#"<rsc_location rsc="{}" id="{}"/>"#, escape(&self.ids.clone), escape(&self.id()))
    }

    /// What is there in its place.
    #[must_use]
    pub fn standing(&self, cib: &Cib) -> Standing {
        let mut all = cib.section("constraints").into_iter().flat_map(|all| all.all("rsc_location"));
        let Some(found) = all.find(|location| location.get("id") == Some(self.id().as_str())) else { return Standing::None };
        allowed_by(found, &self.ids.clone).map_or(Standing::Unknown, Standing::Only)
    }
}

/// `#uname ne A`, `#uname ne B`, …, all of them, is -INFINITY for the promoted role: only A, B, … may.
fn allowed_by(location: &Element, clone: &str) -> Option<Vec<String>> {
    let [rule] = location.children.as_slice() else { return None };
    let is_ours = location.get("rsc") == Some(clone)
        && rule.name == "rule"
        && rule.get("score") == Some(NEVER)
        && matches!(rule.get("role"), Some("Master" | "Promoted"))
        // All of several, or the only one.
        && (rule.get("boolean-op").is_none_or(|op| op == "and") || rule.children.len() == 1);
    let name = |e: &Element| {
        let excludes = e.name == "expression" && e.get("attribute") == Some(UNAME) && e.get("operation") == Some("ne");
        e.get("value").filter(|_| excludes).map(str::to_owned)
    };
    let mut nodes: Vec<_> = rule.children.iter().map(name).collect::<Option<_>>()?;
    nodes.sort();
    (is_ours && !nodes.is_empty()).then_some(nodes)
}

/// `A`, `A and B`, `A, B and C`.
#[must_use]
pub fn names(nodes: &[impl AsRef<str>]) -> String {
    match nodes.split_last() {
        None => String::new(),
        Some((last, [])) => last.as_ref().to_owned(),
        Some((last, rest)) => {
            format!("{} and {}", rest.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", "), last.as_ref())
        }
    }
}

fn escape(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}
