//! What is to be known for a first map: from flags, and from questions where there is a terminal.

use std::env;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use anyhow::bail;
use gatepost::first_map::{Answers, CHANNELS_A_DEVICE, Named, Offer, Place};
use gatepost::thingspeak::credentials::Source;
use gatepost::thingspeak::license::License;

use super::Args;
use super::ask::Talk;
use super::target::Target;

/// The answers, and the file of credentials as it is now.
pub(super) struct Chosen {
    pub(super) credentials: PathBuf,
    pub(super) answers: Answers,
}

/// The names under which ThingSpeak offers the file.
const DOWNLOADS: [&str; 2] = ["mqtt_credentials.txt", "mqtt_secrets.h"];

/// From flags alone.
pub(super) fn given(args: &Args, offers: &[Offer]) -> anyhow::Result<Chosen> {
    let Some(credentials) = args.credentials.clone() else {
        bail!("not a terminal: name the credentials file downloaded from ThingSpeak with --credentials FILE");
    };
    if args.channel.is_empty() {
        bail!("not a terminal: name a channel to publish to with --channel room=1234567 (its Channel ID)");
    }
    good_credentials(&credentials).map_err(anyhow::Error::msg)?;
    let answers = Answers {
        credentials: String::new(),
        license: license(args.license.as_deref().unwrap_or_default()),
        channels: args.channel.clone(),
        commands: args.command_channel.clone(),
        places: places(args, &args.channel, offers)?,
    };
    Ok(Chosen { credentials, answers })
}

/// From flags, and questions for the rest.
pub(super) fn ask<R: BufRead, W: Write>(
    talk: &mut Talk<R, W>,
    args: &Args,
    target: &Target,
    offers: &[Offer],
) -> anyhow::Result<Chosen> {
    talk.say(
        "Creates a first sensor map. Press Enter for the value in brackets, Ctrl-C to stop. Files are written only at \
         the end.",
    )?;
    let credentials = match &args.credentials {
        Some(file) => {
            good_credentials(file).map_err(anyhow::Error::msg)?;
            file.clone()
        }
        None => ask_credentials(talk, target)?,
    };
    let mut channels = args.channel.clone();
    if channels.is_empty() {
        ask_channels(talk, &mut channels, args.command_channel.as_ref())?;
    }
    let license = match &args.license {
        Some(written) => license(written),
        None => talk.ask("\nYour ThingSpeak license, free or paid", Some("free"), |answer| match answer {
            "free" | "paid" => Ok(license(answer)),
            _ => Err("answer free or paid; it is free unless you pay for it".to_owned()),
        })?,
    };
    let places = ask_places(talk, args, &channels, offers)?;
    let commands = match &args.command_channel {
        Some(channel) => Some(channel.clone()),
        // Whoever gave the channels as flags has said what there is.
        None if !args.channel.is_empty() => None,
        None => {
            talk.say("\nCommands to outputs (a pump, a lamp) come from the fields of a separate channel.")?;
            ask_channel(talk, "Its Channel ID, or Enter for none", Some(""), "switches", &channels)?
        }
    };
    Ok(Chosen { credentials, answers: Answers { credentials: String::new(), license, channels, commands, places } })
}

fn ask_credentials<R: BufRead, W: Write>(talk: &mut Talk<R, W>, target: &Target) -> anyhow::Result<PathBuf> {
    talk.say(
        "\nThe credentials of your MQTT device: on ThingSpeak under Devices, MQTT, \"Add a new device\", \
         then\n\"Download Credentials\". ThingSpeak shows the password only once, so download the file.",
    )?;
    let default = downloaded(target).map(|path| path.display().to_string());
    talk.ask("The downloaded file", default.as_deref(), |answer| {
        let path = expand(answer, home());
        good_credentials(&path).map(|()| path)
    })
}

fn ask_channels<R: BufRead, W: Write>(
    talk: &mut Talk<R, W>,
    channels: &mut Vec<Named>,
    commands: Option<&Named>,
) -> anyhow::Result<()> {
    talk.say(
        "\nThe channel to publish to: on ThingSpeak under Channels, My Channels, your channel. Its number (\"Channel \
         ID\") is at\nthe top of its page.",
    )?;
    while channels.len() < CHANNELS_A_DEVICE {
        let taken: Vec<Named> = channels.iter().chain(commands).cloned().collect();
        let channel = match channels.len() {
            0 => ask_channel(talk, "Channel ID", None, "room", &taken)?,
            more => {
                ask_channel(talk, "Another one, or Enter for none", Some(""), &format!("room{}", more + 1), &taken)?
            }
        };
        let Some(channel) = channel else { break };
        channels.push(channel);
    }
    Ok(())
}

/// Asks for a channel and its name; `None` for nothing, where that is the default.
fn ask_channel<R: BufRead, W: Write>(
    talk: &mut Talk<R, W>,
    question: &str,
    default: Option<&str>,
    name: &str,
    taken: &[Named],
) -> anyhow::Result<Option<Named>> {
    let id = talk.ask(question, default, |answer| match Named::new(name, answer) {
        _ if answer.is_empty() && default.is_some() => Ok(None),
        Ok(channel) if taken.iter().any(|other| other.id == channel.id) => {
            Err(format!("channel {} is already in use: enter another one", channel.id))
        }
        Ok(channel) => Ok(Some(channel.id)),
        Err(refused) => Err(refused.to_string()),
    })?;
    let Some(id) = id else { return Ok(None) };
    let channel =
        talk.ask("A name for it in the map", Some(name), |answer| match Named::new(answer, &id.to_string()) {
            Ok(channel) if taken.iter().any(|other| other.name == channel.name) => {
                Err(format!("the name {} is already in use: enter another one", channel.name))
            }
            other => other.map_err(|refused| refused.to_string()),
        })?;
    Ok(Some(channel))
}

fn ask_places<R: BufRead, W: Write>(
    talk: &mut Talk<R, W>,
    args: &Args,
    channels: &[Named],
    offers: &[Offer],
) -> anyhow::Result<Vec<Place>> {
    let mut places = places(args, channels, offers)?;
    talk.say("\nWhat this machine can publish:")?;
    for (offer, place) in offers.iter().zip(&mut places).filter(|(_, place)| **place == Place::Anywhere) {
        let question = format!("{} ({}): {}?", offer.name, offer.what, offer.measures());
        if !talk.yes(&question, true)? {
            *place = Place::Nowhere;
        } else if let [first, _, ..] = channels {
            let names: Vec<_> = channels.iter().map(|channel| channel.name.as_str()).collect();
            let question = format!("  to which channel ({})", names.join(", "));
            *place = talk.ask(&question, Some(&first.name), |answer| {
                let index = names.iter().position(|name| *name == answer);
                index.map(Place::Channel).ok_or_else(|| format!("answer one of {}", names.join(", ")))
            })?;
        }
    }
    Ok(places)
}

/// Where the flags say that the sensors go.
fn places(args: &Args, channels: &[Named], offers: &[Offer]) -> anyhow::Result<Vec<Place>> {
    let sensor = |name: &str| {
        offers.iter().position(|offer| offer.name == name).ok_or_else(|| {
            let names: Vec<_> = offers.iter().map(|offer| offer.name.as_str()).collect();
            anyhow::anyhow!("there is no sensor {name}: the sensors are {}", names.join(", "))
        })
    };
    let mut places = vec![Place::Anywhere; offers.len()];
    for written in &args.to {
        let Some((name, channel)) = written.split_once('=') else {
            bail!("write --to SENSOR=CHANNEL, such as --to pi=room");
        };
        let Some(index) = channels.iter().position(|known| known.name == channel) else {
            bail!("--to {written}: there is no channel {channel} (add it with --channel {channel}=ID)");
        };
        places[sensor(name)?] = Place::Channel(index);
    }
    for name in &args.skip {
        places[sensor(name)?] = Place::Nowhere;
    }
    Ok(places)
}

fn license(written: &str) -> License {
    if written == "paid" { License::Paid } else { License::Free }
}

/// Whether the file holds credentials. Who may read it is looked after when it is put in its place.
fn good_credentials(path: &Path) -> Result<(), String> {
    if !path.try_exists().unwrap_or(true) {
        return Err(format!(
            "there is no file {}: download it on ThingSpeak under Devices, MQTT, your device, \"Download \
             Credentials\", and enter its path",
            path.display()
        ));
    }
    Source::File(path.to_owned()).read().map(drop).map_err(|error| error.to_string())
}

/// A file that was downloaded, where people have such files.
fn downloaded(target: &Target) -> Option<PathBuf> {
    let home = home();
    let folders =
        [Some(PathBuf::new()), target.credentials_folder(), home.clone(), home.map(|home| home.join("Downloads"))];
    let files = folders.into_iter().flatten().flat_map(|folder| DOWNLOADS.map(|name| folder.join(name)));
    files.into_iter().find(|file| good_credentials(file).is_ok())
}

fn home() -> Option<PathBuf> {
    env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
}

/// A path as typed: no shell is there to know what `~` is.
fn expand(written: &str, home: Option<PathBuf>) -> PathBuf {
    match (written.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(written),
    }
}
