//! The page on the map: `map.md` beside this file, with a table for each `{{section}}` in it.

use gatepost::config::reference::{Key, Reference, Section, SensorKind};
use gatepost::reading::Quantity;
use gatepost::time::shown;

/// The prose, its examples, and where the tables go.
const PAGE: &str = include_str!("map.md");

/// Above everything else, for who wants to change the page.
const MADE: &str = "<!-- Made by `just docs`: change src/cli/docs/map.md, or the comments of the keys in src, and run \
                    it again. -->\n\n";

/// The page.
///
/// # Errors
/// When the prose asks for a section that there is not, or leaves one out.
pub(super) fn page(reference: &Reference) -> anyhow::Result<String> {
    let mut page = MADE.to_owned() + PAGE;
    let sections = reference.sections.iter().map(|section| (section.name.clone(), table(section)));
    let kinds = reference.kinds.iter().map(kind).collect::<Vec<_>>().join("\n");
    for (name, text) in sections.chain([("kinds".to_owned(), kinds)]) {
        let place = format!("{{{{{name}}}}}\n");
        anyhow::ensure!(page.contains(&place), "the page on the map has no place for `{name}`");
        page = page.replace(&place, &text);
    }
    anyhow::ensure!(!page.contains("{{"), "the page on the map asks for a section that there is not");
    Ok(page)
}

fn table(section: &Section) -> String {
    let rows = section.keys.iter().map(row).collect::<String>();
    format!("| key | value | default | meaning |\n|---|---|---|---|\n{rows}")
}

fn row(key: &Key) -> String {
    let default = match &key.default {
        _ if key.is_required => "**needed**".to_owned(),
        Some(default) => format!("`{default}`"),
        None => "–".to_owned(),
    };
    let value = |(value, meaning): &(String, String)| format!("<br>`{value}`: {meaning}");
    let values: String = key.values.iter().map(value).collect();
    let cells = [format!("`{}`", key.name), key.value.clone(), default, key.text.clone() + &values];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

fn kind(kind: &SensorKind) -> String {
    let timeout = shown(kind.timeout);
    let pace = match kind.every {
        None if kind.keys.name == "formula" => "It has no interval of its own.".to_owned(),
        Some(every) => format!("Default interval {}, timeout {timeout}.", shown(every)),
        None => format!("It sends by itself. Default timeout {timeout} of silence."),
    };
    let (name, about, keys, quantities) =
        (&kind.keys.name, &kind.about, table(&kind.keys), quantities(&kind.quantities));
    format!("### `{name}`\n\n{about} {pace}\n\n{keys}\n{quantities}")
}

fn quantities(quantities: &[Quantity]) -> String {
    if quantities.is_empty() {
        return "The map names its quantities.\n".to_owned();
    }
    let row = |quantity: &Quantity| {
        let unit = if quantity.unit.is_empty() { "–" } else { quantity.unit };
        let resolution = quantity.resolution.map_or_else(|| "–".to_owned(), |it| it.step().to_string());
        format!("| `{}` | {unit} | {resolution} | {} |\n", quantity.name, quantity.reduce.name())
    };
    let rows: String = quantities.iter().map(row).collect();
    format!("| quantity | unit | resolution | default `reduce` |\n|---|---|---|---|\n{rows}")
}
