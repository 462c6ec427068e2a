//! A declaration → text for people: what the agent is, its parameters, and how to call it by hand.

use std::fmt::{self, Write};

use crate::ocf::spec::{AgentSpec, Content, Decl};

const WIDTH: usize = 78;

/// The help of an agent.
#[must_use]
pub fn agent(spec: &AgentSpec) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = write(&mut out, spec);
    out
}

fn write(out: &mut String, spec: &AgentSpec) -> fmt::Result {
    writeln!(out, "{}: {}\n\nusage: {} ACTION\n", spec.name, spec.short, spec.name)?;
    wrapped(out, "", spec.long)?;
    out.push_str("\nActions:\n");
    for action in spec.actions {
        write!(out, "  {:<14}time-out {} s", action.name, action.timeout.as_secs())?;
        for (what, value) in [("every", action.interval.map(|d| d.as_secs())), ("check level", action.depth.map(u64::from))] {
            value.map_or(Ok(()), |value| write!(out, ", {what} {value}{}", if what == "every" { " s" } else { "" }))?;
        }
        action.role.map_or(Ok(()), |role| write!(out, ", {role}"))?;
        out.push('\n');
    }
    out.push_str("  validate-all  checks the parameters, from OCF_CHECK_LEVEL 10 on this machine too\n");
    out.push_str("  meta-data     prints the declaration as XML\n\nParameters:\n");
    for param in spec.params {
        parameter(out, param.decl())?;
    }
    by_hand(out, spec)
}

fn parameter(out: &mut String, decl: &Decl) -> fmt::Result {
    let kind = match decl.content {
        Content::String => "text".to_owned(),
        Content::Integer => "number".to_owned(),
        Content::Boolean => "yes or no".to_owned(),
        Content::Select(options) => options.join(" | "),
    };
    let flags = [
        (decl.required, "required"),
        (decl.unique, "unique"),
        (decl.reloadable, "changes without a restart"),
        (decl.replaced_by.is_some(), "deprecated"),
    ];
    let flags: String = flags.iter().filter(|(set, _)| *set).flat_map(|(_, name)| [", ", name]).collect();
    let default = decl.default.unwrap_or_default();
    let head = format!("  {} ({kind}{flags}", decl.name);
    match default.len() {
        0 => writeln!(out, "{head})")?,
        n if head.len() + n < WIDTH => writeln!(out, "{head}, default {default})")?,
        _ => writeln!(out, "{head})\n      Default: {default}")?,
    }
    if let Some(name) = decl.replaced_by {
        writeln!(out, "      Use {name} instead.")?;
    }
    wrapped(out, "      ", decl.long)
}

fn by_hand(out: &mut String, spec: &AgentSpec) -> fmt::Result {
    out.push_str("\nBy hand, as Pacemaker would call it:\n  OCF_ROOT=/usr/lib/ocf OCF_RESOURCE_INSTANCE=test \\\n");
    for decl in spec.params.iter().map(|param| param.decl()).filter(|decl| decl.required) {
        writeln!(out, "  OCF_RESKEY_{}=... \\", decl.name)?;
    }
    writeln!(out, "  {} monitor; echo $?", spec.name)
}

/// Paragraphs broken at blanks. A line that begins with a blank or a bullet keeps its place.
fn wrapped(out: &mut String, indent: &str, text: &str) -> fmt::Result {
    for line in text.lines() {
        let mut column = 0;
        for word in line.split_whitespace() {
            let length = word.chars().count();
            if column == 0 {
                out.push_str(indent);
                column = indent.len();
            } else if column + 1 + length > WIDTH {
                write!(out, "\n{indent}")?;
                column = indent.len();
            } else {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += length;
        }
        out.push('\n');
    }
    Ok(())
}
