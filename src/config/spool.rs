//! `[spool]`: how the disk is treated.

use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::diagnostic::Findings;
use super::table::{Node, Table};
use super::values::HumanDuration;
use crate::spool::{Durability, Policy};

/// An entry that may wait longer would be lost with the power though it was measured long ago.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Entries that one write takes at most.
const LARGEST_GROUP: usize = 512;

/// The keys of `[spool]`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    /// When an entry is written to the disk. Until then it is in a directory in memory, which survives anything except
    /// a power cut.
    #[cfg_attr(feature = "docs", schemars(with = "Option<Durability>", extend("default" = Policy::default().durability)))]
    durability: Option<Spanned<Durability>>,
    /// An entry that is not acknowledged within this time is due to be written. No effect with `durability = "always"`.
    #[cfg_attr(feature = "docs", schemars(with = "Option<HumanDuration>", extend("default" = HumanDuration(Policy::default().write_after), "x-range" = HumanDuration::up_to(LONGEST))))]
    write_after: Option<Spanned<HumanDuration>>,
    /// Due entries wait for each other and are written in groups, so the disk is written to seldom. A group is written
    /// at the latest when its oldest entry has waited this much longer than `write_after`. No effect with `durability =
    /// "always"`.
    #[cfg_attr(feature = "docs", schemars(with = "Option<HumanDuration>", extend("default" = HumanDuration(Policy::default().group_every), "x-range" = HumanDuration::up_to(LONGEST))))]
    group_every: Option<Spanned<HumanDuration>>,
    /// A group of this many entries is written without waiting for `group_every`. No effect with `durability =
    /// "always"`.
    #[cfg_attr(feature = "docs", schemars(with = "Option<usize>", range(min = 1, max = LARGEST_GROUP), extend("default" = Policy::default().group_entries)))]
    group_entries: Option<Spanned<usize>>,
}

/// Reads `[spool]`; every key has a default.
pub(super) fn read(node: Option<Node<'_>>, findings: &mut Findings) -> Policy {
    let table = node.and_then(|node| Table::of(node, "spool", findings));
    let keys: Keys = table.and_then(|table| table.read(findings)).unwrap_or_default();
    let default = Policy::default();
    let durability = keys.durability.as_ref().map_or(default.durability, |written| *written.get_ref());
    if durability == Durability::Always
        && let Some(written) = &keys.write_after
    {
        findings.warning(
            &written.span(),
            "with `durability = \"always\"` every entry is written at once: `write_after` does nothing",
            "leave it out",
        );
    }
    let mut lasting = |key: &str, written: Option<Spanned<HumanDuration>>, default| {
        let Some(written) = written else { return default };
        if written.get_ref().0 > LONGEST {
            findings.fault(&written.span(), format!("`{key}` is at most a day"), "leave it out for the default");
        }
        written.into_inner().0
    };
    let write_after = lasting("write_after", keys.write_after, default.write_after);
    let group_every = lasting("group_every", keys.group_every, default.group_every);
    if let Some(written) = keys.group_entries.as_ref().filter(|it| !(1..=LARGEST_GROUP).contains(it.get_ref())) {
        findings.fault(&written.span(), format!("`group_entries` is from 1 to {LARGEST_GROUP}"), "leave it out for 32");
    }
    let group_entries = keys.group_entries.map_or(default.group_entries, Spanned::into_inner);
    Policy { durability, write_after, group_every, group_entries }
}
