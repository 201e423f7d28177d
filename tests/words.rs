//! The texts that people read keep to usual words: no private nouns, and no phrases that read like a translation.
//!
//! Read are string literals, help texts and the comments of the map's keys, the pages, and the comments of the example maps.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{Attribute, Item};

/// What is not written, and what to write.
const WORDS: [(&str, &str); 36] = [
    ("a map says its", "missing"),
    ("anew", "again, or restart"),
    ("are told", "are logged, or reported"),
    ("by and by", "gradually"),
    ("deed", "action"),
    ("doubtful", "unconfirmed"),
    ("for want of", "the cause itself, such as: backlog full"),
    ("has not got", "lacks, or is missing"),
    ("have not got", "lack, or are missing"),
    ("how things stand", "the state"),
    ("hushed", "the state itself, such as: waiting for the boot record"),
    ("is all right", "ok"),
    ("is no gatepost", "is not a gatepost"),
    ("is no raspberry pi", "is not a Raspberry Pi"),
    ("is told", "is logged, or reported"),
    ("keep one of both", "keep one of the two"),
    ("lane", "bus thread"),
    ("lanes", "bus threads"),
    ("ledger", "the saved state"),
    ("nobody", "who or what it is, such as: no other program"),
    ("nothing to say", "no reading"),
    ("noticeboard", "status"),
    ("receipt", "acknowledgement"),
    ("receipts", "acknowledgements"),
    ("restamp", "retime"),
    ("restamped", "retimed, or sent with another second"),
    ("roster", "the list of sensors"),
    ("set aside", "renamed, or unconfirmed"),
    ("somebody", "another program, or who it is"),
    ("stillborn", "failed to start"),
    ("take one of both", "take one of the two"),
    ("the card", "the disk"),
    ("told of", "reported"),
    ("turnover", "the changes"),
    ("what is whole", "the intact entries"),
    ("whoever", "who it is, such as: the broker's operator"),
];

/// Where a phrase stays, and why. One that is not needed any more is a fault.
const EXCEPTIONS: [(&str, &str, &str); 0] = [];

/// A text that people read, and where it is.
struct Text {
    file: String,
    words: String,
}

/// The phrases in a text, each with what stands around it.
fn breaches(words: &str) -> Vec<(&'static str, &'static str, String)> {
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let is_letter = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    let mut found = Vec::new();
    for (phrase, better) in WORDS {
        for (at, _) in words.match_indices(phrase) {
            let (before, behind) = (&words[..at], &words[at + phrase.len()..]);
            if !is_letter(before.chars().next_back()) && !is_letter(behind.chars().next()) {
                let before: Vec<char> = before.chars().rev().take(30).collect();
                let around =
                    before.iter().rev().copied().chain(phrase.chars()).chain(behind.chars().take(30)).collect();
                found.push((phrase, better, around));
            }
        }
    }
    found
}

/// The texts of a source that ships, and the modules that it has for tests only.
fn texts_of_source(source: &str) -> (Vec<String>, Vec<String>) {
    let file = syn::parse_file(source).expect("a source that the compiler takes");
    let (mut texts, mut unshipped) = (Vec::new(), Vec::new());
    items(&file.items, &mut texts, &mut unshipped);
    (texts, unshipped)
}

fn items(items: &[Item], texts: &mut Vec<String>, unshipped: &mut Vec<String>) {
    for item in items {
        let attributes = match item {
            Item::Mod(inner) => &inner.attrs,
            Item::Fn(inner) => &inner.attrs,
            Item::Impl(inner) => &inner.attrs,
            Item::Struct(inner) => &inner.attrs,
            Item::Enum(inner) => &inner.attrs,
            Item::Macro(inner) => &inner.attrs,
            _ => &Vec::new(),
        };
        let for_tests = attributes.iter().any(is_for_tests);
        match item {
            Item::Mod(inner) if for_tests => unshipped.push(inner.ident.to_string()),
            _ if for_tests => {}
            Item::Mod(inner) => {
                if let Some((_, content)) = &inner.content {
                    self::items(content, texts, unshipped);
                }
            }
            // The comments of options are their help; those of keys are on the page on the map.
            Item::Struct(_) | Item::Enum(_) => {
                let derives: String = attributes.iter().map(|one| one.to_token_stream().to_string()).collect();
                let is_shown = ["Args", "Parser", "Subcommand", "ValueEnum", "JsonSchema"];
                literals(item.to_token_stream(), is_shown.iter().any(|one| derives.contains(one)), texts);
            }
            Item::Macro(_) => literals(item.to_token_stream(), true, texts),
            _ => literals(item.to_token_stream(), false, texts),
        }
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    let condition = attribute.to_token_stream().to_string();
    attribute.path().is_ident("cfg")
        && (condition.contains("test") || condition.contains("fuzzing"))
        && !condition.contains("not")
}

/// Collects string literals, but for comments that are not shown and what only a programmer reads: reasons of lints, and words of
/// panics.
fn literals(stream: TokenStream, comments_too: bool, texts: &mut Vec<String>) {
    let mut comment = String::new();
    let (mut before, mut is_attribute) = (String::new(), false);
    for tree in stream {
        match &tree {
            TokenTree::Group(group) => {
                let words: String = group.stream().into_iter().take(1).map(|first| first.to_string()).collect();
                let is_skipped = if is_attribute && group.delimiter() == Delimiter::Bracket {
                    matches!(words.as_str(), "expect" | "cfg" | "cfg_attr") || (words == "doc" && !comments_too)
                } else {
                    matches!(before.as_str(), "expect" | "panic!" | "unreachable!" | "assert!" | "debug_assert!")
                };
                if is_attribute && words == "doc" && comments_too {
                    // The lines of one comment are one text.
                    let mut line = Vec::new();
                    literals(group.stream(), true, &mut line);
                    comment.extend(line);
                } else if !is_skipped {
                    texts.extend((!comment.is_empty()).then(|| std::mem::take(&mut comment)));
                    literals(group.stream(), comments_too, texts);
                }
                (before, is_attribute) = (String::new(), false);
            }
            TokenTree::Literal(literal) => {
                if let Ok(text) = syn::parse2::<syn::LitStr>(tree.to_token_stream()) {
                    texts.push(text.value());
                }
                before = literal.to_string();
            }
            TokenTree::Ident(name) => (before, is_attribute) = (name.to_string(), false),
            TokenTree::Punct(sign) => {
                is_attribute = sign.as_char() == '#';
                before.push(sign.as_char());
            }
        }
    }
    texts.extend((!comment.is_empty()).then_some(comment));
}

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|its| its == extension) {
            found.push(path);
        }
    }
}

/// Every text that people read.
fn texts() -> Vec<Text> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| fs::read_to_string(path).expect("UTF-8");
    let name = |path: &Path| path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
    let mut all = Vec::new();

    let mut sources = Vec::new();
    files(&root.join("src"), "rs", &mut sources);
    files(&root.join("sandbox/src"), "rs", &mut sources);
    let read_sources: Vec<_> = sources.iter().map(|path| (path, texts_of_source(&read(path)))).collect();
    let unshipped = read_sources.iter().flat_map(|(path, (_, modules))| {
        let stem = path.file_stem().expect("a name").to_string_lossy();
        let folder = path.parent().expect("a folder");
        let own = matches!(&*stem, "mod" | "lib" | "main");
        let folder = if own { folder.to_owned() } else { folder.join(&*stem) };
        modules.iter().map(move |module| folder.join(module))
    });
    let unshipped: Vec<PathBuf> = unshipped.collect();
    for (path, (texts, _)) in &read_sources {
        if !unshipped.iter().any(|module| path.starts_with(module) || path.with_extension("") == *module) {
            all.extend(texts.iter().map(|words| Text { file: name(path), words: words.clone() }));
        }
    }

    let mut pages = vec![root.join("README.md"), root.join("sandbox/README.md"), root.join("src/cli/docs/map.md")];
    files(&root.join("docs"), "md", &mut pages);
    // A report of measurements quotes what was measured.
    pages.retain(|page| !page.ends_with("docs/figures.md"));
    files(&root.join("config"), "toml", &mut pages);
    all.extend(pages.iter().map(|page| Text { file: name(page), words: read(page).replace("\n#", "\n") }));
    all
}

#[test]
fn texts_keep_to_usual_words() {
    let texts = texts();
    assert!(texts.len() > 3000, "{} texts", texts.len());
    let found: Vec<_> = texts
        .iter()
        .flat_map(|text| {
            breaches(&text.words).into_iter().map(move |(phrase, better, around)| (text, phrase, better, around))
        })
        .collect();
    let is_meant = |file: &str, phrase: &str| EXCEPTIONS.iter().any(|(at, its, _)| (*at, *its) == (file, phrase));
    let mut faults: Vec<String> = found
        .iter()
        .filter(|(text, phrase, ..)| !is_meant(&text.file, phrase))
        .map(|(text, phrase, better, around)| format!("{}: \"{phrase}\" in \"…{around}…\": write {better}", text.file))
        .collect();
    for (file, phrase, reason) in EXCEPTIONS {
        if !found.iter().any(|(text, its, ..)| (text.file.as_str(), *its) == (file, phrase)) {
            faults.push(format!("{file}: \"{phrase}\" is not there any more: take the exception out ({reason})"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_planted_phrase_is_found_where_people_read_it_and_only_there() {
    let source = r#"
        /// Nobody reads this comment.
        fn shown() { println!("whoever \
            runs it"); expect("the ledger"); }
        /// Where entries go,
        /// by and
        /// by.
        #[derive(clap::Args)]
        struct Options { /// How things stand.
            json: bool }
        #[derive(thiserror::Error)]
        enum Error { #[error("lost for want of room")] Full }
        #[cfg(test)]
        mod tests { fn f() { say("somebody"); } }
        #[expect(lint, reason = "a receipt")]
        fn other() { unreachable!("anew"); say("planet, renewed, Turnovers"); }
    "#;
    let (texts, unshipped) = texts_of_source(source);
    let found: Vec<_> = texts.iter().flat_map(|text| breaches(text)).map(|(phrase, ..)| phrase).collect();
    assert_eq!(found, ["whoever", "by and by", "how things stand", "for want of"]);
    assert_eq!(unshipped, ["tests"]);
}

#[test]
fn the_list_is_in_order() {
    assert!(WORDS.is_sorted());
}
