//! Meta-data: byte for byte as committed, and valid by the OCF 1.1 schema and by its own DTD.
//!
//! Needs `xmllint`. Without it these tests fail: a check that was not made is no pass.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "runs xmllint")]

mod puppet;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ocf_san::agents;
use ocf_san::ocf::metadata::xml;
use puppet::{PLAIN, PUPPET};

fn in_tree(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Whether xmllint finds the text valid, and what it says.
fn xmllint(how: &[&str], text: &str) -> (bool, String) {
    let mut lint = Command::new("xmllint")
        .args(["--noout", "--nonet"])
        .args(how)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("xmllint is needed: install the package libxml2-utils");
    lint.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = lint.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn fits_the_schema(text: &str) -> (bool, String) {
    xmllint(&["--relaxng", in_tree("tests/fixtures/ocf-1.1.rng").to_str().unwrap()], text)
}

#[test]
fn every_agent_prints_what_is_committed() {
    for spec in agents::ALL {
        let golden = fs::read_to_string(in_tree("metadata").join(format!("{}.xml", spec.name))).unwrap_or_default();
        assert_eq!(xml(spec).unwrap(), golden, "{}: if this was meant, run scripts/update-metadata", spec.name);
    }
    let files = fs::read_dir(in_tree("metadata")).unwrap().count();
    assert_eq!(files, agents::ALL.len(), "metadata/ holds a file for every agent and no other");
}

#[test]
fn every_agent_fits_the_schema_and_its_own_dtd() {
    for spec in agents::ALL.iter().copied().chain([&PUPPET, &PLAIN]) {
        let text = xml(spec).unwrap();
        let (fits, why) = fits_the_schema(&text);
        assert!(fits, "{}: {why}", spec.name);
        let (fits, why) = xmllint(&["--valid"], &text);
        assert!(fits, "{}: {why}", spec.name);
    }
}

#[test]
fn the_schema_and_the_dtd_refuse_what_the_standard_does_not_have() {
    let good = xml(&PUPPET).unwrap();
    let broken = [
        ("a private parameter", r#"name="quiet""#, r#"name="quiet" private="1""#),
        ("no language", r#"<longdesc lang="en">Whether"#, "<longdesc>Whether"),
        ("no time-out", r#"<action name="start" timeout="30s"/>"#, r#"<action name="start"/>"#),
        ("an unknown type", r#"type="boolean""#, r#"type="bool""#),
        ("a flag that is no flag", r#"required="1""#, r#"required="yes""#),
        (
            "texts in the wrong order",
            r#"<shortdesc lang="en">Quiet</shortdesc>"#,
            r#"<deprecated/><shortdesc lang="en">Quiet</shortdesc>"#,
        ),
    ];
    for (what, from, to) in broken {
        assert!(good.contains(from), "{what}: nothing to break");
        let bad = good.replacen(from, to, 1);
        assert!(!fits_the_schema(&bad).0, "{what}: the schema lets it pass");
        assert!(!xmllint(&["--valid"], &bad).0, "{what}: the DTD lets it pass");
    }
    let only_the_schema = [
        ("a select without options", r#"<option value="a"/>"#, ""),
        ("a time without its unit", r#"timeout="30s""#, r#"timeout="30""#),
        ("another version", "<version>1.1<", "<version>1.2<"),
    ];
    for (what, from, to) in only_the_schema {
        let bad = good.replacen(from, to, 1).replacen(
            r#"<option value="b"/>"#,
            if what.starts_with("a select") { "" } else { r#"<option value="b"/>"# },
            1,
        );
        assert!(!fits_the_schema(&bad).0, "{what}: the schema lets it pass");
    }
}

#[test]
fn every_feature_has_the_form_that_all_checkers_accept() {
    let text = xml(&PUPPET).unwrap();
    assert!(text.starts_with("<?xml version=\"1.0\"?>\n<!DOCTYPE resource-agent [\n<!ELEMENT "), "crmsh refuses an encoding");
    let body = text.split_once("]>\n").unwrap().1;
    let parts = [
        concat!("<resource-agent name=\"Puppet\" version=\"", env!("CARGO_PKG_VERSION"), "\">\n<version>1.1</version>\n"),
        "<longdesc lang=\"en\">For tests.\n\nEvery feature of a declaration is in here, \u{fc}mlauts &amp; &lt;markup&gt; too.</longdesc>\n",
        "<parameter name=\"name\" unique=\"1\" unique-group=\"name\" required=\"1\">\n",
        "<parameter name=\"mode\" reloadable=\"1\">\n",
        "<content type=\"select\" default=\"a\">\n<option value=\"a\"/>\n<option value=\"b\"/>\n</content>\n",
        "<content type=\"boolean\" default=\"no\"/>\n",
        "<content type=\"integer\" default=\"3\"/>\n",
        "<parameter name=\"old\">\n<deprecated>\n<replaced-with name=\"name\"/>\n</deprecated>\n<longdesc",
        "<action name=\"monitor\" timeout=\"20s\" interval=\"10s\" depth=\"0\"/>\n",
        "<action name=\"monitor\" timeout=\"60s\" interval=\"61s\" depth=\"10\"/>\n",
        "<action name=\"monitor\" timeout=\"20s\" interval=\"11s\" role=\"Promoted\"/>\n",
        "<action name=\"meta-data\" timeout=\"5s\"/>\n<action name=\"validate-all\" timeout=\"20s\"/>\n</actions>\n</resource-agent>\n",
    ];
    for part in parts {
        assert!(body.contains(part), "{part}\nis not in\n{body}");
    }
    for never in ["<desc", "status", "encoding", "<!--"] {
        assert!(!body.contains(never), "{never}");
    }
}
