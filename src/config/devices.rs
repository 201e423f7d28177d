//! `[device.NAME]`: the MQTT devices and where their credentials are.
//!
//! A file of credentials is looked at while checking, so that a wrong or readable one is told before the daemon runs; what
//! is in it is read again by the uplink before each connection.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::diagnostic::Findings;
use super::names::check_name;
use super::table::{Named, Node, Table};
use crate::thingspeak::credentials::{self, Credentials, CredentialsError, Key, Source};
use crate::uplink::Device;

/// Where the files are that a map speaks of.
pub(super) struct LoadContext {
    /// The files that it is written in.
    pub(super) files: Vec<(PathBuf, Range<usize>)>,
    /// Relative paths start here: the map's folder.
    pub(super) folder: PathBuf,
    /// Where systemd puts the credentials of the unit; a bare name is looked up there first.
    pub(super) credentials_directory: Option<PathBuf>,
    /// Files that will be there, and good, when the map is used.
    pub(super) promised: Promised,
}

/// Files of credentials that are not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Promised {
    /// Each is looked at.
    Nothing,
    /// This one is taken for good.
    File(PathBuf),
    /// Whatever the map names.
    Everything,
}

/// A device as far as it could be read.
pub(super) struct Draft {
    /// Its name, at its place.
    pub(super) name: Spanned<String>,
    /// Where its credentials are, unless that is a fault.
    pub(super) source: Option<Source>,
    /// The key that says so.
    pub(super) source_span: Range<usize>,
}

/// The keys of `[device.NAME]`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    /// The file from "Download Credentials" on ThingSpeak. A name without a path is looked up in the service's systemd
    /// credentials, then in the folder of the map. Only its owner and group may be able to read it: `chmod 640`.
    /// Needed, unless `client_id` and a password are given.
    #[cfg_attr(feature = "docs", schemars(with = "Option<PathBuf>", extend("examples" = ["mqtt_credentials.txt"])))]
    credentials: Option<Spanned<PathBuf>>,
    /// The client id of the MQTT device, instead of `credentials`.
    #[cfg_attr(feature = "docs", schemars(with = "Option<String>", extend("examples" = ["CLIENT-ID"])))]
    client_id: Option<Spanned<String>>,
    /// Only with `client_id`. The default is the `client_id`.
    #[cfg_attr(feature = "docs", schemars(with = "Option<String>", extend("examples" = ["CLIENT-ID"])))]
    username: Option<Spanned<String>>,
    /// Only with `client_id`: the password. Only the owner of the map may then be able to read it.
    #[cfg_attr(feature = "docs", schemars(with = "Option<String>", extend("examples" = ["secret"])))]
    password: Option<Spanned<String>>,
    /// Only with `client_id`: a file that holds only the password. The rules for `credentials` apply.
    #[cfg_attr(feature = "docs", schemars(with = "Option<PathBuf>", extend("examples" = ["mqtt_password"])))]
    password_file: Option<Spanned<PathBuf>>,
}

impl Draft {
    /// The device of a map without faults.
    pub(super) fn into_device(self) -> Option<Device> {
        Some(Device { name: self.name.into_inner(), credentials: self.source? })
    }
}

/// Reads the devices in the order of the text.
pub(super) fn read(node: Option<Node<'_>>, around: &LoadContext, findings: &mut Findings) -> Vec<Draft> {
    let named = Table::named(node, "device", findings);
    named.into_iter().map(|named| device(named, around, findings)).collect()
}

fn device(named: Named<'_>, around: &LoadContext, findings: &mut Findings) -> Draft {
    let Named { name, table } = named;
    check_name(&name, findings);
    let header = table.span().clone();
    let faults_before = findings.faults.len();
    let keys: Keys = table.read(findings).unwrap_or_default();
    let source_span = [
        keys.credentials.as_ref().map(Spanned::span),
        keys.password_file.as_ref().map(Spanned::span),
        keys.client_id.as_ref().map(Spanned::span),
    ];
    let source_span = source_span.into_iter().flatten().next().unwrap_or_else(|| header.clone());
    // A key that was refused for its value must not be told as missing on top.
    let complete = findings.faults.len() == faults_before;
    let source = source(keys, &header, complete, around, findings);
    Draft { name, source, source_span }
}

fn source(
    keys: Keys,
    header: &Range<usize>,
    complete: bool,
    around: &LoadContext,
    findings: &mut Findings,
) -> Option<Source> {
    if let Some(file) = keys.credentials {
        let others = [
            keys.client_id.map(|key| key.span()),
            keys.username.map(|key| key.span()),
            keys.password.map(|key| key.span()),
            keys.password_file.map(|key| key.span()),
        ];
        for span in others.into_iter().flatten() {
            findings.fault(&span, "`credentials` already gives this", "remove one of the two");
        }
        let path = around.resolve(file.get_ref());
        return usable(Source::File(path), &file.span(), around, findings);
    }
    let Some(client_id) = keys.client_id else {
        if complete {
            findings.fault(
                header,
                "a device needs credentials",
                "add `credentials = \"mqtt_credentials.txt\"`: the file that ThingSpeak offers when you add an MQTT device",
            );
        }
        return None;
    };
    let mut fits = written(&client_id, "client_id", Key::ClientId, findings);
    if let Some(username) = &keys.username {
        fits &= written(username, "username", Key::Username, findings);
    }
    if let Some(password) = &keys.password {
        fits &= written(password, "password", Key::Password, findings);
    }
    let client_id_span = client_id.span();
    let username_span = keys.username.as_ref().map_or_else(|| client_id.span(), Spanned::span);
    // They are equal in every known example (docs/thingspeak.md, connection).
    let username = keys.username.map_or_else(|| client_id.get_ref().clone(), Spanned::into_inner);
    let client_id = client_id.into_inner();
    match (keys.password, keys.password_file) {
        (Some(password), None) => {
            around.check_private(&password.span(), findings);
            let span = password.span();
            let credentials = Credentials { client_id, username, password: password.into_inner().into() };
            if let Some((remark, help)) = credentials.remark() {
                findings.warning(&span, remark, help);
            }
            if let Some((problem, key)) = credentials.misfit() {
                let span = match key {
                    Key::ClientId => &client_id_span,
                    Key::Username => &username_span,
                    Key::Password => &span,
                };
                findings.fault(span, format!("{key}: {}", problem.what()), problem.remedy());
                fits = false;
            }
            fits.then_some(Source::Inline(credentials))
        }
        (None, Some(file)) => {
            let password_file = around.resolve(file.get_ref());
            let source = Source::PasswordFile { client_id, username, password_file };
            usable(source, &file.span(), around, findings).filter(|_| fits)
        }
        (Some(_), Some(file)) => {
            findings.fault(&file.span(), "both `password` and `password_file` are given", "remove one of the two");
            None
        }
        (None, None) => {
            if complete {
                findings.fault(
                    header,
                    "a device with a `client_id` needs a password",
                    "add `password_file = \"FILE\"`; or better, use only `credentials = \"mqtt_credentials.txt\"`",
                );
            }
            None
        }
    }
}

impl LoadContext {
    /// A fault where others may read the file that has a password.
    fn check_private(&self, password: &Range<usize>, findings: &mut Findings) {
        if let Some((file, _)) = self.files.iter().find(|(_, place)| place.contains(&password.start)) {
            map_is_private(file, password, findings);
        }
    }

    /// Where the file `written` in the map is.
    fn resolve(&self, written: &Path) -> PathBuf {
        credentials::locate(written, self.credentials_directory.as_deref(), &self.folder)
    }
}

/// Whether a value that the map holds can be logged in with.
fn written(value: &Spanned<String>, name: &str, key: Key, findings: &mut Findings) -> bool {
    let problem = credentials::check_written(key, value.get_ref());
    if let Some(problem) = problem {
        findings.fault(&value.span(), format!("`{name}`: {}", problem.what()), problem.remedy());
    }
    problem.is_none()
}

/// Tells whether the credentials in a file will do: it is there, others may not read it, and it holds what it should.
fn usable(source: Source, span: &Range<usize>, around: &LoadContext, findings: &mut Findings) -> Option<Source> {
    let is_promised = match &around.promised {
        Promised::Nothing => false,
        Promised::File(path) => source.file() == Some(path),
        Promised::Everything => true,
    };
    if is_promised {
        return Some(source);
    }
    let faults_before = findings.faults.len();
    if source.file().is_some_and(|path| path.iter().any(|part| part == "~")) {
        findings.fault(span, "~ means the home directory only in a shell", "write the whole path");
        return None;
    }
    // What is no file, or not there, has no mode to speak of.
    let exposed = source.file().filter(|path| path.is_file()).and_then(|path| credentials::check_mode(path).err());
    if let Some(exposed) = exposed {
        findings.fault(span, exposed.to_string(), "if other people have seen the secret, replace it on ThingSpeak");
    }
    match source.read() {
        Ok(read) => {
            if let Some((remark, help)) = read.remark() {
                findings.warning(span, remark, help);
            }
        }
        Err(CredentialsError::Unfit { place }) => findings.fault(span, place.to_string(), place.problem.remedy()),
        Err(error) => unreadable(&source, &error, span, findings),
    }
    (findings.faults.len() == faults_before).then_some(source)
}

/// Tells why a file cannot be read.
fn unreadable(source: &Source, error: &CredentialsError, span: &Range<usize>, findings: &mut Findings) {
    let Some(path) = source.file().filter(|path| !path.exists()) else {
        return findings.fault(span, error.to_string(), "check its owner and mode");
    };
    let help = match source {
        Source::File(_) => {
            "on ThingSpeak: Devices, MQTT, your device, \"Download Credentials\" (the password is shown only once); \
             put the file there and `chmod 640` it"
        }
        _ => "write only the password into it, and `chmod 640` it",
    };
    findings.fault(span, format!("there is no file {}", path.display()), help);
}

/// Refuses a password in a map that others than its owner may read.
#[cfg(unix)]
fn map_is_private(map: &Path, span: &Range<usize>, findings: &mut Findings) {
    use std::os::unix::fs::PermissionsExt as _;

    let exposed = std::fs::metadata(map).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0);
    if exposed {
        findings.fault(
            span,
            "this map holds a password, and other users than its owner can read it",
            format!("write the password into a separate file (`password_file`), or chmod 600 {}", map.display()),
        );
    }
}

/// Elsewhere who may read a file is not said by a mode; its folder's rights have to do.
#[cfg(not(unix))]
fn map_is_private(_map: &Path, _span: &Range<usize>, _findings: &mut Findings) {}
