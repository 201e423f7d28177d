//! A simulated receiver: it walks slowly around a park, and its sentences have right checksums.

use std::f64::consts::TAU;

use super::sentence::Sentence;
use crate::time::Mono;

/// The middle of the walk, in degrees: the observatory of Greenwich, where both hemispheres are met.
const MIDDLE: [f64; 2] = [51.4779, -0.0015];
/// How far from it, in degrees.
const RADIUS: f64 = 0.002;
/// Seconds for one round.
const ROUND: f64 = 1200.0;

/// One GGA and one RMC, as a receiver says them each second.
pub(super) fn talk(at: Mono) -> Vec<u8> {
    let seconds = at.since_boot().as_secs();
    let angle = at.since_boot().as_secs_f64() / ROUND * TAU;
    let (latitude, longitude) = (MIDDLE[0] + RADIUS * angle.sin(), MIDDLE[1] + RADIUS * angle.cos());
    let elevation = 46.0 + 2.0 * (2.0 * angle).sin();
    let satellites = 8 + seconds / 60 % 4;

    let time = format!("{:02}{:02}{:02}.00", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let position = format!("{},{}", degrees(latitude, 2, "NS"), degrees(longitude, 3, "EW"));
    let gga = format!("GPGGA,{time},{position},1,{satellites:02},0.9,{elevation:.1},M,45.4,M,,");
    let rmc = format!("GPRMC,{time},A,{position},001.8,000.0,010126,,,A");
    (Sentence::write(&gga) + &Sentence::write(&rmc)).into_bytes()
}

/// Degrees and decimal minutes with the hemisphere's letter: `5128.6740,N`.
fn degrees(value: f64, digits: usize, hemispheres: &str) -> String {
    let hemisphere = if value < 0.0 { &hemispheres[1..] } else { &hemispheres[..1] };
    let whole = value.abs().trunc();
    // Held below 60, which rounding to four digits might make of it.
    let minutes = (value.abs().fract() * 60.0).min(59.9999);
    format!("{whole:0digits$}{minutes:07.4},{hemisphere}")
}
