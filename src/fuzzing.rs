//! What `cargo fuzz` calls: bytes from outside go into the code that reads them, and what must hold whatever they are is asserted.
//!
//! Each target is a function of bytes. It stands beside the parser that it calls, in a file `fuzzing.rs`; here is their list. The
//! sandbox's crate has one of its own. They are built by `cargo fuzz`, which sets `cfg(fuzzing)`, and for the tests, which feed every seed
//! in `fuzz/seeds` to its target. No program that is shipped has them.
//!
//! A finding is kept as a seed of its target, and as a test of the parser that says what was wrong.

pub(crate) mod line;
mod messages;

use std::fmt::Debug;

use crate::store::record;

/// Lists the targets once: the function that `fuzz/fuzz_targets` calls, and the table for the tests.
macro_rules! targets {
    ($(#[doc = $doc:literal] $name:ident => $function:path;)+) => {
        $(
            #[doc = $doc]
            pub fn $name(bytes: &[u8]) {
                $function(bytes);
            }
        )+

        /// Every target by its name.
        pub const TARGETS: &[(&str, fn(&[u8]))] = &[$((stringify!($name), $name)),+];
    };
}

targets! {
    /// The registers of a BME280: calibration and data.
    bme280 => crate::sensor::bme280::fuzzing::registers;
    /// A certificate in DER, as whoever answers shows it.
    certificate => crate::net::fuzzing::certificate;
    /// The bare value of a command's field.
    command => messages::command;
    /// A downloaded file of credentials, and a file with a password.
    credentials => crate::thingspeak::credentials::fuzzing::file;
    /// A telegram of a smart meter on its P1 port.
    dsmr => crate::sensor::fuzzing::dsmr;
    /// The frames of dust sensors.
    dust_frames => crate::sensor::fuzzing::dust_frames;
    /// A message of a channel's feed.
    feed => messages::feed;
    /// An expression of the map over other sensors' readings.
    formula => crate::formula::fuzzing::expression;
    /// Text files of the kernel and of the user: DS18B20, machine, thermal zones, hwmon, IIO, a number in a file.
    kernel_files => crate::sensor::fuzzing::kernel_files;
    /// The map.
    map => crate::config::fuzzing::map;
    /// What a Modbus unit answers, over a serial line and over TCP.
    modbus => crate::sensor::modbus::fuzzing::answers;
    /// What a broker says, from the first byte on.
    mqtt_client => crate::net::fuzzing::mqtt_client;
    /// Packets of either side.
    mqtt_codec => messages::mqtt_codec;
    /// What a GNSS receiver says.
    nmea => crate::sensor::fuzzing::nmea;
    /// The state of the open slots.
    open_slots => crate::pipeline::fuzzing::state;
    /// A regular expression of the map, from which a simulated device makes up lines.
    pattern => crate::sensor::serial_line::fuzzing::pattern;
    /// A proxy's answer to CONNECT.
    proxy_answer => crate::net::proxy::fuzzing::answer;
    /// A proxy as the environment names it, the hosts that need none, and a file with its login.
    proxy_settings => crate::net::proxy::fuzzing::settings;
    /// What a device on a serial port says.
    serial_line => crate::sensor::fuzzing::serial_line;
    /// The SML file of a German meter.
    sml => crate::sensor::fuzzing::sml;
    /// Files in the spool's two directories: each begins with a line `@fast/NAME` or `@disk/NAME`.
    spool_files => crate::spool::fuzzing::files;
    /// The pages of the state store in both directories.
    state_page => crate::state::fuzzing::pages;
    /// The report of a daemon, and the levels that it left.
    status_report => messages::status_report;
    /// A request to the status page.
    status_request => crate::daemon::fuzzing::request;
    /// A block of a Victron device.
    vedirect => crate::sensor::fuzzing::vedirect;
    /// The answer to a WebSocket's request.
    websocket_answer => crate::net::websocket::fuzzing::answer;
    /// A server's WebSocket frames.
    websocket_frames => crate::net::websocket::fuzzing::frames;
}

/// What is read is the same whether the bytes come at once or in pieces; `read` gets the size of a piece. Returns what it is.
pub(crate) fn same_in_pieces<T: Debug + PartialEq>(bytes: &[u8], read: impl Fn(usize) -> T) -> T {
    let whole = read(bytes.len().max(1));
    for piece in [1, 7] {
        assert_eq!(read(piece), whole, "in pieces of {piece}");
    }
    whole
}

/// A line that goes to a log or a terminal: it says something, has an end, and disturbs neither.
pub(crate) fn assert_line(words: &str) {
    assert!(!words.is_empty() && words.len() <= 2000, "{} bytes: {words:?}", words.len());
    assert!(!words.chars().any(char::is_control), "{words:?}");
}

/// The same bytes with the right checksum in each record that is there to its end. Nobody guesses a CRC-32.
pub(crate) fn with_right_checksums(bytes: &[u8]) -> Vec<u8> {
    let (mut mended, mut rest) = (Vec::with_capacity(bytes.len()), bytes);
    while let Some((byte, behind)) = rest.split_first() {
        if let Some(payload) = payload(rest) {
            record::append(&mut mended, payload);
            rest = &rest[record::size(payload.len())..];
        } else {
            mended.push(*byte);
            rest = behind;
        }
    }
    mended
}

/// What a record holds that begins here, whatever its checksum is.
fn payload(bytes: &[u8]) -> Option<&[u8]> {
    let (begin, behind) = bytes.split_first_chunk::<{ record::size(0) }>()?;
    let length = usize::from(u16::from_le_bytes([begin[2], begin[3]]));
    behind.get(..length).filter(|_| begin.starts_with(b"gp") && length <= record::LONGEST)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    /// The largest seed, in bytes.
    const LARGEST: usize = 1024;

    fn fuzz() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
    }

    /// The names in a folder, sorted.
    fn names(folder: &Path) -> BTreeSet<String> {
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        entries.map(|entry| entry.expect("listed").file_name().into_string().expect("UTF-8")).collect()
    }

    #[test]
    fn every_seed_is_small_and_does_no_harm() {
        for (target, read) in TARGETS {
            let folder = fuzz().join("seeds").join(target);
            let seeds = names(&folder);
            assert!(!seeds.is_empty(), "{target} has no seed");
            for seed in seeds {
                let bytes = fs::read(folder.join(&seed)).expect("a file");
                assert!(bytes.len() <= LARGEST, "{target}/{seed} has {} bytes", bytes.len());
                eprintln!("{target}/{seed}");
                read(&bytes);
            }
        }
    }

    #[test]
    fn every_target_has_its_program_and_its_seeds_and_there_are_no_others() {
        let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
        // The sandbox's crate has a list of its own.
        let ours = |names: BTreeSet<String>| -> BTreeSet<String> {
            names.into_iter().filter(|name| !name.starts_with("sandbox_")).collect()
        };
        assert_eq!(ours(names(&fuzz().join("seeds"))), targets);
        let programs = targets.iter().map(|name| format!("{name}.rs")).collect();
        assert_eq!(ours(names(&fuzz().join("fuzz_targets"))), programs);
        let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("there");
        let manifest: toml::Table = manifest.parse().expect("TOML");
        let bins = manifest["bin"].as_array().expect("programs").iter();
        let bins: BTreeSet<String> = bins.map(|bin| bin["name"].as_str().expect("a name").to_owned()).collect();
        assert_eq!(ours(bins), targets);
        for target in &targets {
            let program = fs::read_to_string(fuzz().join(format!("fuzz_targets/{target}.rs"))).expect("there");
            let call = format!("libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gatepost::fuzzing::{target}(bytes));");
            assert_eq!(program, format!("#![no_main]\n\n{call}\n"));
        }
    }

    #[test]
    fn checksums_are_made_right_and_nothing_else_is_touched() {
        let mut good = b"before".to_vec();
        crate::store::record::append(&mut good, b"one");
        good.extend_from_slice(b"between gp");
        crate::store::record::append(&mut good, b"two");
        good.extend_from_slice(b"gp\xff\xffbehind");
        let mut bad = good.clone();
        bad[6 + 5] ^= 0xff;
        assert_ne!(bad, good);
        assert_eq!(with_right_checksums(&bad), good);
    }
}
