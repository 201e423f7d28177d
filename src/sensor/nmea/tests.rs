use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;

type Put = (usize, Result<f64, Fault>);

/// What a receiver makes of bytes that come in these pieces.
fn hear<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Put> {
    let puts = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&puts);
    let sender = ReadingSender::new(move |quantity, _, value| sink.lock().unwrap().push((quantity, value)));
    let mut receiver = Receiver::default();
    for piece in pieces {
        receiver.bytes(Mono::default(), piece, &sender);
    }
    puts.lock().unwrap().clone()
}

fn close(puts: &[Put], quantity: usize, expected: f64) -> bool {
    puts.iter().any(|(put, value)| *put == quantity && value.as_ref().is_ok_and(|v| (v - expected).abs() < 2e-6))
}

/// gpsd, test/daemon/garmin48.log, commit 46977faa8f94eb036ca68c24a3fc0d233732e707, lines 15 and 17.
const GARMIN_48: &[u8] = b"$GPRMC,225308,A,4527.458,S,16709.165,E,000.0,094.5,060601,024.1,E*6D\r\n\
                           $GPGGA,225308,4527.458,S,16709.165,E,1,05,2.1,14.7,M,1.1,M,,*53\r\n";

#[test]
fn a_fix_gives_position_elevation_satellites_speed_and_course() {
    let puts = hear([GARMIN_48]);
    assert!(close(&puts, LATITUDE, -45.457_633), "{puts:?}");
    assert!(close(&puts, LONGITUDE, 167.152_75), "{puts:?}");
    assert!(puts.contains(&(ELEVATION, Ok(14.7))), "{puts:?}");
    assert!(puts.contains(&(SATELLITES, Ok(5.0))), "{puts:?}");
    assert!(puts.contains(&(SPEED, Ok(0.0))), "{puts:?}");
    assert!(puts.contains(&(COURSE, Ok(94.5))), "{puts:?}");
}

/// The sentence in the documentation of the gpsd project, "NMEA Revealed", with its checksum computed.
#[test]
fn speed_is_converted_from_knots() {
    let puts = hear([&b"$GPRMC,225446.33,A,4916.45,N,12311.12,W,000.5,054.7,191194,020.3,E,A*2B\n"[..]]);
    assert!(close(&puts, SPEED, 0.926), "{puts:?}");
    assert!(close(&puts, LONGITUDE, -123.185_333), "{puts:?}");
}

#[test]
fn a_wrong_checksum_is_a_fault_of_the_quantities_it_would_have_given() {
    let damaged = String::from_utf8_lossy(GARMIN_48).replace("4527.458,S,16709.165,E,1", "4527.459,S,16709.165,E,1");
    let puts = hear([damaged.as_bytes()]);
    let faulty: Vec<usize> = puts.iter().filter(|(_, value)| value.is_err()).map(|(quantity, _)| *quantity).collect();
    assert_eq!(faulty, [LATITUDE, LONGITUDE, ELEVATION, SATELLITES]);
    assert!(puts.iter().any(|(_, value)| matches!(value, Err(Fault::Checksum(_)))));
}

/// gpsd, test/daemon/hp58534a.log, the same commit: this receiver sends no checksums at all.
#[test]
fn a_sentence_without_checksum_is_refused_with_the_reason() {
    let puts = hear([&b"$GPGGA,124352,3349.0337,S,01843.9282,E,1,08,1.0,115.4,M,,M,,\r\n"[..]]);
    assert_eq!(puts.len(), 4);
    assert!(puts.iter().all(|(_, value)| matches!(value, Err(Fault::Garbled(_)))), "{puts:?}");
}

/// gpsd, test/daemon/gp-320fw-2019-04-07-coldboot.log, the same commit.
#[test]
fn a_void_rmc_is_passed_over() {
    assert_eq!(hear([&b"$GPRMC,235948.00,V,0000.0000,N,00000.0000,E,,,161206,,,N*45\r\n"[..]]), []);
}

/// The same log: the end of line between two sentences is missing.
#[test]
fn nothing_is_taken_from_two_sentences_in_one_line() {
    let behind = b"$GPGSA,A,1,,,,,,,,,,,,,,,*1E$GPRMC,235949.00,V,0000.0000,N,00000.0000,E,,,161206,,,N*44\r\n";
    assert_eq!(hear([&behind[..]]), []);
}

#[test]
fn without_a_fix_there_is_no_position_but_the_number_of_satellites() {
    let line = Sentence::write("GPGGA,000000.00,4808.9993,N,01135.0798,E,0,03,01.4,00460.0,M,0046.2,M,,");
    let puts = hear([line.as_bytes()]);
    assert_eq!(puts[0], (SATELLITES, Ok(3.0)));
    let no_fix = || Err(Fault::Garbled("no fix".to_owned()));
    assert_eq!(puts[1..], [(LATITUDE, no_fix()), (LONGITUDE, no_fix()), (ELEVATION, no_fix())]);
}

/// gpsd, test/daemon/GPSmap-76S.log, the same commit: a handset in its demonstration mode.
#[test]
fn a_position_the_receiver_made_up_is_not_measured() {
    let puts = hear([&b"$GPGGA,125106,3854.5087,N,07726.4523,W,8,10,2.0,268.8,M,-33.9,M,,*7F\r\n"[..]]);
    assert_eq!(puts[0], (SATELLITES, Ok(10.0)));
    assert!(puts[1..].iter().all(|(_, value)| matches!(value, Err(Fault::Garbled(_)))), "{puts:?}");
}

/// The first is the example of an RMC with both mode letters in the test data of the nmea crate 0.8.0 (`rmc.rs`,
/// `parse_rmc_v41_full`); the others differ in the mode alone.
#[test]
fn an_rmc_of_status_a_that_was_not_measured_is_passed_over() {
    assert_eq!(hear([&b"$GPRMC,225207.376,A,5232.067,N,01325.658,E,038.9,324.5,011122,000.0,W,M,E*7A\r\n"[..]]), []);
    let puts = |mode: &str| {
        let body = format!("GPRMC,225207.376,A,5232.067,N,01325.658,E,038.9,324.5,011122,000.0,W{mode}");
        hear([Sentence::write(&body).as_bytes()]).len()
    };
    for mode in [",E", ",M", ",N", ",S"] {
        assert_eq!(puts(mode), 0, "{mode}");
    }
    for mode in ["", ",", ",A", ",D", ",F", ",P", ",R"] {
        assert_eq!(puts(mode), 4, "{mode}");
    }
}

#[test]
fn a_position_off_the_globe_is_a_fault_in_spite_of_its_checksum() {
    for position in ["9907.038,N,01131.000,E", "48nan,N,011inf,E"] {
        let puts = hear([Sentence::write(&format!("GPRMC,120000,A,{position},0.5,,010126,,")).as_bytes()]);
        let off = puts.iter().find(|(quantity, _)| *quantity == LATITUDE);
        assert!(off.is_none_or(|(_, value)| matches!(value, Err(Fault::Garbled(_)))), "{puts:?}");
    }
}

#[test]
fn the_simulated_receiver_is_understood_and_moves() {
    let hour = |hour: u64| Mono::new(Duration::from_secs(hour * 3600 + 17));
    for at in (0..48).map(hour) {
        let puts = hear([&sim::talk(at)[..]]);
        assert_eq!(puts.len(), 8, "{puts:?}");
        assert!(puts.iter().all(|(_, value)| value.is_ok()), "{puts:?}");
    }
    assert_ne!(hear([&sim::talk(hour(0))[..]]), hear([&sim::talk(Mono::default())[..]]));
}

proptest! {
    #[test]
    fn pieces_give_the_same_values_as_the_whole(
        noise in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'$'), Just(b'\n')], 0..200),
        size in 1..80_usize,
    ) {
        let text = [GARMIN_48, &noise, GARMIN_48].concat();
        prop_assert_eq!(hear(text.chunks(size)), hear([&text[..]]));
    }

    #[test]
    fn hostile_bytes_give_no_values(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(hear([&bytes[..]]).iter().all(|(_, value)| value.is_err()));
    }

    #[test]
    fn sentences_with_hostile_fields_give_only_finite_values(
        kind in prop_oneof![Just("GPGGA"), Just("GNRMC"), Just("PGRMZ")],
        fields in prop::collection::vec("[-0-9.,NSEWAVMinfae]{0,8}", 0..16),
    ) {
        let line = Sentence::write(&format!("{kind},{}", fields.join(",")));
        let puts = hear([line.as_bytes()]);
        prop_assert!(puts.iter().all(|(_, value)| value.as_ref().map_or(true, |value| value.is_finite())));
    }
}

#[test]
fn bytes_without_a_sentence_are_told() {
    let (sender, _) = crate::sensor::frames::tests::noting();
    let mut receiver = Receiver { port: "/dev/serial0".to_owned(), ..Receiver::default() };
    assert_eq!(receiver.complaint(), None, "nothing came");
    receiver.bytes(Mono::default(), b"Hello, GPS\r\n", &sender);
    let told = receiver.complaint().expect("bytes came").to_string();
    assert_eq!(told, "no measurement: /dev/serial0: bytes come, but no sentence: \"Hello, GPS\"");
    receiver.bytes(Mono::default(), b"$GPGSV,1,1,00*79\r\n$GPG", &sender);
    assert_eq!(receiver.complaint(), None, "a sentence came, if none with a position");
}
