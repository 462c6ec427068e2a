//! A declaration → OCF 1.1 meta-data.
//!
//! In the one form that the OCF 1.1 schema, `crm_resource`, pcs, crmsh and `ocf-tester` all accept: no `encoding=` in the declaration
//! (crmsh refuses it), a full internal DTD and no external one (`ocf-tester` validates), both `unique` (crmsh) and `unique-group` (pcs),
//! no `<desc>` below `<deprecated>` (pcs 0.11 prints a placeholder for it), no comments or markup in texts (pcs reads up to it).

use std::io;
use std::time::Duration;

use quick_xml::Writer;
use quick_xml::escape::partial_escape;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::spec::{ActionSpec, AgentSpec, Content, Decl};

/// The internal subset. All that may be left out is `#IMPLIED`: a default would be put in by every validating parser.
const DOCTYPE: &str = "resource-agent [
<!ELEMENT resource-agent (version,longdesc*,shortdesc*,parameters,actions)>
<!ATTLIST resource-agent name CDATA #REQUIRED version CDATA #IMPLIED>
<!ELEMENT version (#PCDATA)>
<!ELEMENT longdesc (#PCDATA)>
<!ATTLIST longdesc lang NMTOKEN #REQUIRED>
<!ELEMENT shortdesc (#PCDATA)>
<!ATTLIST shortdesc lang NMTOKEN #REQUIRED>
<!ELEMENT parameters (parameter+)>
<!ELEMENT parameter (deprecated?,longdesc+,shortdesc+,content)>
<!ATTLIST parameter name CDATA #REQUIRED unique-group CDATA #IMPLIED unique (0|1) #IMPLIED required (0|1) #IMPLIED reloadable (0|1) #IMPLIED>
<!ELEMENT deprecated (replaced-with*,desc*)>
<!ELEMENT replaced-with EMPTY>
<!ATTLIST replaced-with name CDATA #REQUIRED>
<!ELEMENT desc (#PCDATA)>
<!ATTLIST desc lang NMTOKEN #REQUIRED>
<!ELEMENT content (option*)>
<!ATTLIST content type (string|integer|boolean|select) #REQUIRED default CDATA #IMPLIED>
<!ELEMENT option EMPTY>
<!ATTLIST option value CDATA #REQUIRED>
<!ELEMENT actions (action+)>
<!ELEMENT action EMPTY>
<!ATTLIST action name CDATA #REQUIRED timeout CDATA #REQUIRED interval CDATA #IMPLIED start-delay CDATA #IMPLIED depth CDATA #IMPLIED role CDATA #IMPLIED>
]";

/// What every agent can do without declaring it.
const BUILT_IN: [ActionSpec; 2] = [ActionSpec::new("meta-data", 5), ActionSpec::new("validate-all", 20)];

type Xml = Writer<Vec<u8>>;

/// The meta-data, the same on every machine.
///
/// # Errors
/// Never in practice: it is written to memory.
pub fn xml(spec: &AgentSpec) -> io::Result<String> {
    let mut xml = Writer::new_with_indent(Vec::with_capacity(8192), b' ', 0);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", None, None)))?;
    xml.write_event(Event::DocType(BytesText::from_escaped(DOCTYPE)))?;
    let agent = xml.create_element("resource-agent");
    let agent = agent.with_attributes([("name", spec.name), ("version", env!("CARGO_PKG_VERSION"))]);
    agent.write_inner_content(|xml| {
        xml.create_element("version").write_text_content(BytesText::new("1.1"))?;
        texts(xml, spec.long, spec.short)?;
        xml.create_element("parameters")
            .write_inner_content(|xml| spec.params.iter().try_for_each(|param| parameter(xml, param.decl())))?;
        let mut actions = spec.actions.iter().chain(&BUILT_IN);
        xml.create_element("actions").write_inner_content(|xml| actions.try_for_each(|a| action(xml, a)))?;
        Ok(())
    })?;
    let mut bytes = xml.into_inner();
    bytes.push(b'\n');
    String::from_utf8(bytes).map_err(io::Error::other)
}

fn texts(xml: &mut Xml, long: &str, short: &str) -> io::Result<()> {
    for (element, text) in [("longdesc", long), ("shortdesc", short)] {
        let text = BytesText::from_escaped(partial_escape(text));
        xml.create_element(element).with_attribute(("lang", "en")).write_text_content(text)?;
    }
    Ok(())
}

fn parameter(xml: &mut Xml, decl: &Decl) -> io::Result<()> {
    let unique = [("unique", "1"), ("unique-group", decl.name)];
    xml.create_element("parameter")
        .with_attribute(("name", decl.name))
        .with_attributes(unique.into_iter().filter(|_| decl.unique))
        .with_attributes(decl.required.then_some(("required", "1")))
        .with_attributes(decl.reloadable.then_some(("reloadable", "1")))
        .write_inner_content(|xml| {
            if let Some(name) = decl.replaced_by {
                xml.create_element("deprecated").write_inner_content(|xml| {
                    xml.create_element("replaced-with").with_attribute(("name", name)).write_empty()?;
                    Ok(())
                })?;
            }
            if decl.is_obsolete {
                xml.create_element("deprecated").write_empty()?;
            }
            texts(xml, decl.long, decl.short)?;
            content(xml, decl)
        })?;
    Ok(())
}

fn content(xml: &mut Xml, decl: &Decl) -> io::Result<()> {
    let (kind, options): (_, &[&str]) = match decl.content {
        Content::String => ("string", &[]),
        Content::Integer => ("integer", &[]),
        Content::Boolean => ("boolean", &[]),
        Content::Select(options) => ("select", options),
    };
    let element = xml.create_element("content").with_attribute(("type", kind));
    let element = element.with_attributes(decl.default.map(|text| ("default", text)));
    if options.is_empty() {
        element.write_empty()?;
    } else {
        element.write_inner_content(|xml| {
            options
                .iter()
                .try_for_each(|value| xml.create_element("option").with_attribute(("value", *value)).write_empty().map(drop))
        })?;
    }
    Ok(())
}

fn action(xml: &mut Xml, action: &ActionSpec) -> io::Result<()> {
    let seconds = |duration: Duration| format!("{}s", duration.as_secs());
    let attributes = [
        ("name", Some(action.name.to_owned())),
        ("timeout", Some(seconds(action.timeout))),
        ("interval", action.interval.map(seconds)),
        ("depth", action.depth.map(|depth| depth.to_string())),
        ("role", action.role.map(str::to_owned)),
    ];
    let given = attributes.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
    xml.create_element("action").with_attributes(given).write_empty()?;
    Ok(())
}
