//! The way to the broker, step by step: credentials, DNS, TCP, TLS, WebSocket; then each device's account.

use super::daemon::Running;
use super::user::{Rights, User};
use super::{Conclusion, Verdict, account, way};
use crate::config::{Channel, Settings};
use crate::hal::Clock;
use crate::thingspeak::credentials::{Credentials, CredentialsError, check_mode};
use crate::uplink::Device;

/// Who is asked for, whether to log in, and what to publish.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Who the daemon runs as: its credentials must be readable for this user.
    pub user: &'a User,
    /// Why nobody may log in.
    pub no_login: Option<&'a str>,
    /// The channel that gets a test entry.
    pub publish: Option<&'a Channel>,
    /// The daemon that is thrown out by a login, and comes back.
    pub rival: Option<&'a Running>,
}

/// Goes the whole way. `tell` gets each line as it is known.
pub async fn examine(settings: &Settings, wish: Wish<'_>, clock: &dyn Clock, tell: &mut impl FnMut(Conclusion)) {
    let mut credentials = Vec::new();
    for device in &settings.devices {
        let (line, read) = self::credentials(device, wish.user);
        tell(line);
        credentials.push(read);
    }
    let reached = way::look(&settings.broker, clock, tell).await;
    for (index, (device, credentials)) in settings.devices.iter().zip(credentials).enumerate() {
        let why_not = match (&credentials, reached, wish.no_login) {
            (_, false, _) => Some("an earlier step failed".to_owned()),
            (None, ..) => Some(format!("{}: its credentials are not usable", device.name)),
            (_, _, Some(why)) => Some(format!("{}: {why}", device.name)),
            _ => None,
        };
        match (why_not, credentials) {
            (None, Some(credentials)) => {
                let mine = wish.publish.filter(|channel| channel.device == index);
                let look = account::Look { settings, device: index, publish: mine, rival: wish.rival };
                account::login(look, &credentials, clock, tell).await;
            }
            (why, _) => {
                let why = why.unwrap_or_default();
                tell(Conclusion::skipped("CONNACK", why.clone()));
                tell(Conclusion::skipped("SUBACK", why.clone()));
                if wish.publish.is_some_and(|channel| channel.device == index) {
                    tell(Conclusion::skipped("publish", why));
                }
            }
        }
    }
}

fn credentials(device: &Device, user: &User) -> (Conclusion, Option<Credentials>) {
    const STEP: &str = "credentials";
    let name = &device.name;
    let place = device.credentials.file().map_or_else(|| "the map".to_owned(), |path| path.display().to_string());
    let exposed = device.credentials.file().and_then(|path| check_mode(path).err());
    // Root may read everything; the daemon is somebody else.
    let rights = device.credentials.file().and_then(Rights::of);
    if let (true, Some(rights)) = (device.credentials.read().is_ok(), rights.filter(|rights| !rights.let_read(user))) {
        let found = format!("{name}: {} may not read {place} (mode {:03o})", user.name, rights.mode & 0o777);
        let advice = format!("sudo chgrp {} {place} && sudo chmod 640 {place}", user.name);
        return (Conclusion::wrong(STEP, found, advice), device.credentials.read().ok());
    }
    let barrier = device.credentials.file().and_then(|path| Rights::barrier(path, user));
    if let (Ok(read), Some(folder)) = (device.credentials.read(), barrier) {
        let found = format!("{name}: {} may not enter {}, so it cannot read {place}", user.name, folder.display());
        let advice = format!(
            "copy it to the service's directory, and name that copy in the map: sudo install -m 640 -g {} {place} \
             /etc/gatepost/credentials/",
            user.name
        );
        return (Conclusion::wrong(STEP, found, advice), Some(read));
    }
    match (device.credentials.read(), exposed) {
        (Ok(read), None) => {
            let line = match read.remark() {
                Some((remark, advice)) => Conclusion::warning(STEP, format!("{name}: {place}: {remark}"), advice),
                None => Conclusion::ok(
                    STEP,
                    format!("{name}: {place} holds user name, client ID and password; other users cannot read it"),
                ),
            };
            (line, Some(read))
        }
        (Ok(read), Some(exposed)) => {
            let advice = "the daemon refuses a file that other users may read. If other people use this machine, also \
                          reset the password on ThingSpeak's web page";
            (Conclusion::wrong(STEP, format!("{name}: {exposed}"), advice), Some(read))
        }
        (Err(CredentialsError::Unfit { place }), _) => {
            (Conclusion::wrong(STEP, format!("{name}: {place}"), place.problem.remedy()), None)
        }
        (Err(error), _) => {
            let is_kept_back = device.credentials.file().is_some_and(|path| path.try_exists().unwrap_or(true))
                && matches!(error, CredentialsError::Unreadable { .. });
            let advice = if is_kept_back {
                format!(
                    "the owner or mode of the file, or of a folder above it, keeps {} from reading it. If it is the \
                     service's file, run this with sudo",
                    user.name
                )
            } else {
                "download it again from the MQTT device on ThingSpeak's web page (the password is shown once), and put it there"
                    .to_owned()
            };
            (Conclusion::wrong(STEP, format!("{name}: {error}"), advice), None)
        }
    }
}

/// Whether any line says that something is wrong.
pub fn is_well(lines: &[Conclusion]) -> bool {
    lines.iter().all(|line| line.verdict != Verdict::Wrong)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::thingspeak::credentials::Source;

    #[test]
    fn credentials_are_read_for_the_daemons_user_and_not_for_who_asks() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mqtt_credentials.txt");
        fs::write(&path, "username = a\nclientId = a\npassword = sesame\n").expect("written");
        let device = Device { name: "pi".to_owned(), credentials: Source::File(path.clone()) };
        let rights = Rights::of(&path).expect("it is there");
        let owner = User { name: "pi".to_owned(), uid: rights.uid, ..User::default() };
        let daemon = User { name: "gatepost".to_owned(), uid: 54_321, groups: vec![54_321], later: Vec::new() };
        let told = |mode, user| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("one's own file");
            credentials(&device, user).0
        };
        assert_eq!(told(0o600, &owner).verdict, Verdict::Ok);
        let refused = told(0o600, &daemon);
        assert!(
            refused.found.starts_with("pi: gatepost may not read ") && refused.found.ends_with("(mode 600)"),
            "{refused}"
        );
        assert!(refused.advice.starts_with("sudo chgrp gatepost "), "{refused}");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).expect("one's own folder");
        let behind = told(0o644, &daemon);
        let closed = format!("pi: gatepost may not enter {}", folder.path().display());
        assert!(behind.verdict == Verdict::Wrong && behind.found.starts_with(&closed), "{behind}");
        let exposed = told(0o644, &owner);
        assert!(exposed.verdict == Verdict::Wrong && exposed.found.contains("run chmod o= on it"), "{exposed}");
        fs::remove_file(&path).expect("it was there");
        let missing = credentials(&device, &owner).0;
        assert!(missing.verdict == Verdict::Wrong && missing.advice.starts_with("download it again"), "{missing}");
        fs::write(&path, "username = a\npassword = sesame\n").expect("written");
        let incomplete = told(0o600, &owner);
        assert!(
            incomplete.found.ends_with("holds no clientId") && !incomplete.to_string().contains("sesame"),
            "{incomplete}"
        );
        fs::write(&path, "username = a\nclientId = a\npassword = <sesame>\n").expect("written");
        let placeholder = told(0o600, &owner);
        assert!(
            placeholder.found.ends_with("line 3 (password): this is a placeholder and not a value")
                && placeholder.advice.starts_with("replace it")
                && !placeholder.to_string().contains("sesame"),
            "{placeholder}"
        );
    }
}
