//! What a file of the crate names: modules of the crate, and libraries.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{Attribute, Item};

/// A module as a path from the crate's root: `["uplink", "session"]`.
pub(crate) type Module = Vec<String>;

/// The crate's files that ship, by their modules: the paths that each names, as they are written.
#[derive(Default)]
pub(crate) struct Sources {
    paths: BTreeMap<Module, BTreeSet<Vec<String>>>,
}

impl Sources {
    /// Reads every file below a folder.
    pub(crate) fn read(folder: &Path) -> Self {
        let mut texts = Vec::new();
        collect(folder, folder, &mut texts);
        Self::of(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())))
    }

    /// Takes files by their names below the folder: `uplink/session/mod.rs`.
    pub(crate) fn of<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut sources = Self::default();
        let mut unshipped = BTreeSet::new();
        for (name, text) in texts {
            let module = module(name);
            let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            let mut paths = BTreeSet::new();
            items(&file.items, &module, &[], &mut paths, &mut unshipped);
            sources.paths.insert(module, paths);
        }
        sources.paths.retain(|module, _| !(1..=module.len()).any(|length| unshipped.contains(&module[..length])));
        sources
    }

    /// Every file's module.
    pub(crate) fn modules(&self) -> impl Iterator<Item = &Module> {
        self.paths.keys()
    }

    /// The other modules that a module's file names: the file that a path leads to, for items have no files.
    pub(crate) fn named_by(&self, module: &Module) -> BTreeSet<Module> {
        let named = self.paths[module].iter().filter_map(|path| self.resolve(module, path));
        named.filter(|named| named != module).collect()
    }

    /// The first names of the paths that lead out of the crate, libraries among them.
    pub(crate) fn roots(&self, module: &Module) -> BTreeSet<&str> {
        let outside = self.paths[module].iter().filter(|path| self.resolve(module, path).is_none());
        outside.filter_map(|path| path.first()).map(String::as_str).collect()
    }

    fn resolve(&self, module: &Module, path: &[String]) -> Option<Module> {
        let (mut at, mut rest) = match path.first()?.as_str() {
            "crate" | "gatepost" => (Vec::new(), &path[1..]),
            "self" | "super" => (module.clone(), path),
            // A module below this one.
            _ => {
                let mut child = module.clone();
                child.push(path[0].clone());
                (self.paths.contains_key(&child).then_some(module.clone())?, path)
            }
        };
        while let Some(name) = rest.first() {
            match name.as_str() {
                "self" => {}
                "super" => drop(at.pop()),
                name => {
                    at.push(name.to_owned());
                    if !self.paths.contains_key(&at) {
                        at.pop();
                        break;
                    }
                }
            }
            rest = &rest[1..];
        }
        Some(at)
    }
}

fn collect(root: &Path, folder: &Path, texts: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(root, &path, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
            texts.push((name, fs::read_to_string(&path).expect("UTF-8")));
        }
    }
}

/// `uplink/session/mod.rs` and `uplink/session.rs` are `uplink::session`.
fn module(name: &str) -> Module {
    let name = name.strip_suffix(".rs").expect("a source");
    let name = name.strip_suffix("/mod").unwrap_or(name);
    if name == "lib" || name == "main" { Vec::new() } else { name.split('/').map(str::to_owned).collect() }
}

/// Collects the paths in items that ship. `inline` are the modules around them that have no file.
fn items(
    items: &[Item],
    module: &Module,
    inline: &[String],
    paths: &mut BTreeSet<Vec<String>>,
    unshipped: &mut BTreeSet<Module>,
) {
    for item in items {
        match item {
            Item::Mod(inner) if is_unshipped(&inner.attrs) => {
                unshipped.insert([module.as_slice(), inline, &[inner.ident.to_string()]].concat());
            }
            Item::Mod(inner) => {
                if let Some((_, content)) = &inner.content {
                    let inline = [inline, &[inner.ident.to_string()]].concat();
                    self::items(content, module, &inline, paths, unshipped);
                }
            }
            item if is_unshipped(attributes(item)) => {}
            item => tokens(item.to_token_stream(), &[], inline.len(), paths),
        }
    }
}

/// Whether what has these attributes is for tests and fuzzing only.
fn is_unshipped(attributes: &[Attribute]) -> bool {
    let condition = |attribute: &Attribute| attribute.meta.require_list().map(|list| list.tokens.to_string());
    let is_cfg = |attribute: &&Attribute| attribute.path().is_ident("cfg");
    let mut conditions = attributes.iter().filter(is_cfg).filter_map(|attribute| condition(attribute).ok());
    conditions.any(|condition| matches!(condition.as_str(), "test" | "fuzzing" | "any (test , fuzzing)"))
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Collects paths such as `crate::time::{Mono, Utc}` from tokens, behind a prefix. In an inline module one `super` less leads out of the
/// file for each module around.
fn tokens(stream: TokenStream, prefix: &[String], inline: usize, paths: &mut BTreeSet<Vec<String>>) {
    let mut trees = stream.into_iter().peekable();
    let mut path: Vec<String> = prefix.to_vec();
    let mut is_joined = !prefix.is_empty();
    let end = |path: &mut Vec<String>, paths: &mut BTreeSet<Vec<String>>| {
        if path.len() > prefix.len() {
            paths.insert(without_inline(path, inline));
        }
        path.clone_from(&prefix.to_vec());
    };
    while let Some(tree) = trees.next() {
        match tree {
            TokenTree::Ident(name) => {
                if !is_joined {
                    end(&mut path, paths);
                }
                path.push(name.to_string());
                is_joined = false;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => {
                let is_second = matches!(trees.peek(), Some(TokenTree::Punct(next)) if next.as_char() == ':');
                if is_second {
                    trees.next();
                    is_joined = !path.is_empty();
                } else {
                    end(&mut path, paths);
                    is_joined = false;
                }
            }
            TokenTree::Group(group) => {
                let is_tree = is_joined && group.delimiter() == Delimiter::Brace && !path.is_empty();
                let inner: Vec<String> = if is_tree { path.clone() } else { Vec::new() };
                tokens(group.stream(), &inner, inline, paths);
                if !is_tree {
                    end(&mut path, paths);
                }
                path.clone_from(&prefix.to_vec());
                is_joined = !prefix.is_empty();
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {
                end(&mut path, paths);
                is_joined = !prefix.is_empty();
            }
        }
    }
    end(&mut path, paths);
}

fn without_inline(path: &[String], inline: usize) -> Vec<String> {
    let supers = path.iter().take_while(|name| *name == "super").count();
    match supers {
        0 => path.to_vec(),
        few if few <= inline => ["self".to_owned()].into_iter().chain(path[few..].iter().cloned()).collect(),
        _ => path[inline..].to_vec(),
    }
}
