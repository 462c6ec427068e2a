//! The cluster information base as a fence handler needs it: who is a member, what the cluster thinks of each node, which clone manages a
//! DRBD resource, and the constraint that keeps it from being promoted anywhere but where its data is good.

mod command;
mod fence;

use std::io;

use crate::kernel::xml::Element;

pub use command::{Created, Pacemaker};
pub use fence::{Fence, Standing, names};

/// The agents that manage a DRBD resource, by class, provider and type.
const AGENTS: [(&str, &str, &str); 2] = [("ocf", "san", "DRBD-helper"), ("ocf", "linbit", "drbd")];

/// The first schema that knows the roles Promoted and Unpromoted.
const PROMOTED_SINCE: (u32, u32) = (3, 7);

/// A CIB, read once.
#[derive(Debug, Clone)]
pub struct Cib {
    root: Element,
}

/// What the cluster thinks of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// A member that runs its part of the cluster.
    Online,
    /// Gone, and that is known for sure: it was shut down or fenced.
    Down,
    /// Gone, or half of it, and nobody knows why: to be fenced where fencing is configured.
    Unclean,
    /// Nothing is written about it.
    Never,
}

impl Cib {
    /// What `cibadmin --query` printed.
    ///
    /// # Errors
    /// That is no CIB, or a part of one.
    pub fn parse(text: &str) -> io::Result<Self> {
        let root = Element::parse(text)?;
        if root.name != "cib" || root.first("configuration").is_none() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a CIB"));
        }
        Ok(Self { root })
    }

    /// Whether this part of the cluster has quorum.
    #[must_use]
    pub fn has_quorum(&self) -> bool {
        self.root.get("have-quorum").is_some_and(is_true)
    }

    /// Whether the cluster fences nodes: the property `stonith-enabled`, true where it is not set.
    #[must_use]
    pub fn fences(&self) -> bool {
        let properties = self.section("crm_config").into_iter().flat_map(Element::walk).filter(|e| e.name == "nvpair");
        let mut of_it = properties.filter(|e| matches!(e.get("name"), Some("stonith-enabled" | "fencing-enabled")));
        of_it.next().and_then(|e| e.get("value")).is_none_or(|value| !is_false(value))
    }

    /// The role of the instance that may be written to, as this cluster's schema spells it.
    #[must_use]
    pub fn promoted(&self) -> &'static str {
        let schema = self.root.get("validate-with").and_then(|name| name.strip_prefix("pacemaker-"));
        let version = schema.and_then(|version| version.split_once('.'));
        let number = version.and_then(|(major, minor)| Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?)));
        let knows = schema == Some("next") || number.is_some_and(|number| number >= PROMOTED_SINCE);
        if knows { "Promoted" } else { "Master" }
    }

    /// The names of the nodes that can run resources.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        let all = self.section("nodes").into_iter().flat_map(|nodes| nodes.all("node"));
        all.filter(|node| node.get("type") != Some("ping")).filter_map(|node| node.get("uname")).filter(|name| !name.is_empty())
    }

    /// The node of this name; a host name counts with and without its domain, if that is unambiguous.
    #[must_use]
    pub fn node(&self, host: &str) -> Option<&str> {
        let exact = self.nodes().find(|node| node.eq_ignore_ascii_case(host));
        let mut similar = self.nodes().filter(|node| is_without_domain(node, host) || is_without_domain(host, node));
        exact.or_else(|| similar.next().filter(|_| similar.next().is_none()))
    }

    /// What the cluster thinks of the node of exactly this name.
    #[must_use]
    pub fn seen(&self, node: &str) -> Seen {
        let states = self.root.first("status").into_iter().flat_map(|status| status.all("node_state"));
        let Some(state) = states.into_iter().find(|state| state.get("uname") == Some(node)) else { return Seen::Never };
        let is_member = state.get("in_ccm").is_some_and(is_true);
        let runs = state.get("crmd").is_some_and(|crmd| crmd == "online" || is_moment(crmd));
        // As Pacemaker has it (lib/pengine/unpack.c): who is not a member and is expected to be down is down for sure.
        let is_expected = state.get("expected").unwrap_or("down") == "member";
        match (is_member, runs) {
            (true, true) => Seen::Online,
            (false, false) if !is_expected && state.get("in_ccm").is_some() => Seen::Down,
            _ => Seen::Unclean,
        }
    }

    /// The id of what makes this DRBD resource run on several nodes: the clone around its primitive. All of them, should there be more.
    #[must_use]
    pub fn clones_of(&self, resource: &str) -> Vec<&str> {
        let Some(resources) = self.section("resources") else { return Vec::new() };
        let clones = resources.walk().filter(|e| matches!(e.name.as_str(), "clone" | "master"));
        let with_it = clones.filter(|clone| clone.walk().any(|e| e.name == "primitive" && self.manages(e, resource)));
        with_it.filter_map(|clone| clone.get("id")).collect()
    }

    /// Whether this primitive, or the template it is made from, is an agent for DRBD with this resource.
    fn manages(&self, primitive: &Element, resource: &str) -> bool {
        let template = primitive.get("template").and_then(|id| self.template(id));
        let attribute = |name| primitive.get(name).or_else(|| template.and_then(|t| t.get(name)));
        let agent = (attribute("class"), attribute("provider"), attribute("type"));
        let is_drbd = AGENTS.iter().any(|(class, provider, kind)| agent == (Some(*class), Some(*provider), Some(*kind)));
        let value = self.parameter(primitive, "drbd_resource").or_else(|| self.parameter(template?, "drbd_resource"));
        is_drbd && value == Some(resource)
    }

    fn parameter<'a>(&'a self, of: &'a Element, name: &str) -> Option<&'a str> {
        let sets = of.all("instance_attributes").map(|set| self.referred(set));
        let mut pairs = sets.flat_map(|set| set.all("nvpair")).map(|pair| (pair.get("name"), self.referred(pair)));
        pairs.find_map(|(own, pair)| (own.or(pair.get("name")) == Some(name)).then(|| pair.get("value"))?)
    }

    /// The element itself, or the one that its `id-ref` stands for.
    fn referred<'a>(&'a self, element: &'a Element) -> &'a Element {
        let Some(id) = element.get("id-ref") else { return element };
        let mut same = self.root.walk().filter(|other| other.name == element.name);
        same.find(|other| other.get("id") == Some(id)).unwrap_or(element)
    }

    fn template(&self, id: &str) -> Option<&Element> {
        self.section("resources")?.all("template").find(|template| template.get("id") == Some(id))
    }

    fn section(&self, name: &str) -> Option<&Element> {
        self.root.first("configuration")?.first(name)
    }
}

fn is_true(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "on" | "y") || is_moment(value)
}

fn is_false(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "false" | "0" | "no" | "off" | "n")
}

/// Since 2.1.7 Pacemaker says since when: a moment in seconds, or 0 for not at all.
fn is_moment(value: &str) -> bool {
    value.parse::<u64>().is_ok_and(|seconds| seconds > 0)
}

/// `node1`, `node1.example.com` → true.
fn is_without_domain(short: &str, long: &str) -> bool {
    let (head, rest) = (long.get(..short.len()), long.get(short.len()..));
    !short.is_empty()
        && head.is_some_and(|head| head.eq_ignore_ascii_case(short))
        && rest.is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests;
