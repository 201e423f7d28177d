//! Names of parts, and lists of them.

use std::ops::Range;

use toml::Spanned;

use super::diagnostic::Findings;
use super::table::{Node, Table, one_or_many};

/// The tables of `[[what]]`.
pub(super) fn list<'a>(node: Option<Node<'a>>, what: &'static str, findings: &mut Findings) -> Vec<Table<'a>> {
    let Some(node) = node else { return Vec::new() };
    if !node.get_ref().is_array() {
        findings.fault(&node.span(), format!("there can be several: write `[[{what}]]`"), "two brackets on each side");
    }
    one_or_many(node).into_iter().filter_map(|node| Table::of(node, what, findings)).collect()
}

/// Refuses what would not do as a name: it appears in logs, in the status and in messages.
pub(super) fn check_name(written: &Spanned<String>, findings: &mut Findings) {
    let text = written.get_ref();
    if text.trim().is_empty() || text.chars().any(char::is_control) || text.chars().count() > 64 {
        findings.fault(&written.span(), "a name has one line of up to 64 printable characters", "");
    }
}

/// A name for the log: one line of printable text.
pub(super) fn name(
    written: Option<Spanned<String>>,
    was_written: bool,
    what: &str,
    header: &Range<usize>,
    findings: &mut Findings,
) -> Spanned<String> {
    let Some(written) = written else {
        if !was_written {
            findings.fault(
                header,
                format!("every {what} needs a name"),
                "add `name = \"…\"`: it appears in logs and status",
            );
        }
        return Spanned::new(header.clone(), String::new());
    };
    check_name(&written, findings);
    written
}
