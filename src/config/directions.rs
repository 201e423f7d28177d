//! Quantities that are directions by what they are called, and are reduced as if they were not: the mean of 350° and 10° is 180°.

use toml::Spanned;

use super::diagnostic::Findings;
use super::drafts::Drafts;
use super::{Route, sensors};
use crate::entry::Reduce;
use crate::sensor::Kind;

/// Parts of a word that make it a direction, in the languages in which sketches are written.
const PARTS: &str =
    "direction direccion dirección direcao direção direzion richtung richting riktning retning heading bearing azimu";

/// Whole words that are directions.
const WORDS: &str = "dir winddir wdir gustdir windgustdir hdg hdt hdm brg azi az course cog ctw twd awd track trk yaw vane windvane \
                     compass kompass kurs rumbo";

/// How words begin that make it something else: a bearing's temperature, a rate of turn, the length of a course.
const OTHERS: &str = "temp speed rate rpm volt power humid press count dist length time error deviation std variance wear load force \
                      vib batt quality";

/// What a number is called that is the sensor's only one, and has no name of its own.
const NAMELESS: &str = "value val v x number reading deg";

fn has_word(list: &str, word: &str) -> bool {
    list.split(' ').any(|known| known == word)
}

/// Warns of each.
pub(super) fn check(drafts: &Drafts, findings: &mut Findings) {
    for sensor in &drafts.sensors {
        let Some(kind) = &sensor.kind else { continue };
        let quantities = kind.device().quantities();
        for written in &sensor.routes {
            let route = written.get_ref();
            let Some(quantity) = quantities.get(route.quantity) else { continue };
            // Where the kind says how fine it is, it says what it is as well.
            if quantity.resolution.is_some() || !spoils(route.reduce) {
                continue;
            }
            let mut names = vec![quantity.name.to_string()];
            if quantities.len() == 1 && has_word(NAMELESS, &quantity.name.to_lowercase()) {
                names.extend(others(sensor, kind));
            }
            if let Some(name) = names.iter().find(|name| is_direction(name)) {
                let channel = drafts.channels[route.channel].name.get_ref();
                warn(written, name, &quantity.name, channel, findings);
            }
        }
    }
}

fn warn(written: &Spanned<Route>, name: &str, quantity: &str, channel: &str, findings: &mut Findings) {
    let Route { reduce, column, .. } = written.get_ref();
    let why = match reduce {
        Reduce::Mean => "the mean of 350° and 10° would be 180°",
        Reduce::Sum => "a sum of directions has no meaning",
        _ => "north would be both the smallest and the largest",
    };
    findings.warning(
        &written.span(),
        format!("`{name}` looks like a direction, and its `reduce` is \"{}\": {why}", reduce.name()),
        format!("write `to.{} = {{ field = \"{channel}.{column}\", reduce = \"direction\" }}`", key(quantity)),
    );
}

/// A key as TOML writes it.
fn key(name: &str) -> String {
    let is_bare = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if is_bare { name.to_owned() } else { format!("{name:?}") }
}

/// Whether a reduce makes nonsense of directions.
const fn spoils(reduce: Reduce) -> bool {
    match reduce {
        Reduce::Mean | Reduce::Min | Reduce::Max | Reduce::Sum => true,
        Reduce::Last | Reduce::First | Reduce::Count | Reduce::Direction => false,
    }
}

/// What else tells of a sensor's only number: the sensor's name, and what its kind knows.
fn others(sensor: &sensors::Draft, kind: &Kind) -> Vec<String> {
    [sensor.name.get_ref().clone()].into_iter().chain(kind.device().hint()).collect()
}

/// Whether a name is that of a direction: `wind_dir`, `WindDirection`, `cog`, `Windrichtung`.
fn is_direction(name: &str) -> bool {
    let words = words(name);
    let has = |what: &str| words.iter().any(|word| has_word(what, word));
    let is_named = words.iter().any(|word| PARTS.split(' ').any(|part| word.contains(part))) || has(WORDS);
    // A wind in degrees is no other thing.
    let is_wind = has("wind") && has("deg degree degrees angle grad");
    let is_other = |word: &String| OTHERS.split(' ').any(|other| word.starts_with(other));
    (is_named || is_wind) && !words.iter().any(is_other)
}

/// The words of a name, in small letters: they end at a letter that is none, at a figure, and before a capital letter.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for letter in name.chars() {
        let ends = !letter.is_alphabetic() || letter.is_uppercase() && was_small;
        if ends && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if letter.is_alphabetic() {
            words.last_mut().expect("never empty").extend(letter.to_lowercase());
        }
        was_small = letter.is_lowercase();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_known_by_their_names() {
        for name in [
            "direction",
            "wind_direction",
            "windDirection",
            "WindDir",
            "wind-dir",
            "winddir",
            "winddir_avg2m",
            "wind dir 10m",
            "wdir",
            "heading",
            "magneticHeading",
            "bearing",
            "azimuth",
            "azimut",
            "sun_azimuth",
            "course",
            "courseOverGround",
            "COG",
            "track",
            "yaw",
            "vane",
            "compass",
            "Windrichtung",
            "windrichting",
            "vindriktning",
            "direccion_viento",
            "wind_deg",
            "winddirection",
            "HDG",
        ] {
            assert!(is_direction(name), "{name}: {:?}", words(name));
        }
    }

    #[test]
    fn what_only_sounds_like_one_is_none() {
        for name in [
            "",
            "value",
            "temperature",
            "wind",
            "windspeed",
            "wind_speed",
            "dirt",
            "directory",
            "redirect",
            "bearing_temp",
            "bearingTemperature",
            "yaw_rate",
            "courseLength",
            "track_count",
            "vane_voltage",
            "angle",
            "tilt",
            "degrees",
            "degC",
            "air",
            "dirty",
            "cogs",
            "heading_error",
        ] {
            assert!(!is_direction(name), "{name}: {:?}", words(name));
        }
    }
}
