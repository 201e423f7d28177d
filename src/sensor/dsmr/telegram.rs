//! What is in a telegram.

use std::collections::BTreeMap;

use crate::reading::Fault;
use crate::sensor::checksum::crc16;
use crate::sensor::number::{self, quoted};
use crate::time::Mono;

/// The unit of a quantity. Meters write it behind the number, some of them in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    KilowattHours,
    Kilowatts,
    Volts,
    Amperes,
    CubicMetres,
    Gigajoules,
}

impl Unit {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::KilowattHours => "kWh",
            Self::Kilowatts => "kW",
            Self::Volts => "V",
            Self::Amperes => "A",
            Self::CubicMetres => "m³",
            Self::Gigajoules => "GJ",
        }
    }

    pub(super) const fn resolution(self) -> f64 {
        match self {
            Self::Volts => 0.1,
            Self::Amperes => 0.01,
            _ => 0.001,
        }
    }

    /// Whether it counts up.
    pub(super) const fn is_total(self) -> bool {
        matches!(self, Self::KilowattHours | Self::CubicMetres | Self::Gigajoules)
    }

    /// How many of the written unit make one of this. `None`: it is no such unit.
    fn steps(self, written: &str) -> Option<f64> {
        match (self, written) {
            (Self::KilowattHours, "kWh")
            | (Self::Kilowatts, "kW")
            | (Self::Volts, "V")
            | (Self::Amperes, "A")
            | (Self::CubicMetres, "m3")
            | (Self::Gigajoules, "GJ") => Some(1.0),
            (Self::KilowattHours, "Wh") | (Self::Kilowatts, "W") => Some(1000.0),
            _ => None,
        }
    }
}

/// A quantity and where it is.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    code: Code,
}

enum Code {
    /// Of the meter itself: `1-0:1.8.1`, written without the medium.
    Own(&'static str),
    /// Of a meter that is connected to it, by its kind in `0-n:24.1.0`.
    Other(&'static [u32]),
}

const fn own(name: &'static str, unit: Unit, code: &'static str) -> Column {
    Column { name, unit, code: Code::Own(code) }
}

/// The quantities. 1 and 2 are the tariffs, in the Netherlands low and high, in Belgium high and low.
pub(super) const COLUMNS: [Column; 23] = [
    own("import", Unit::KilowattHours, "1.8.0"),
    own("import_1", Unit::KilowattHours, "1.8.1"),
    own("import_2", Unit::KilowattHours, "1.8.2"),
    own("export", Unit::KilowattHours, "2.8.0"),
    own("export_1", Unit::KilowattHours, "2.8.1"),
    own("export_2", Unit::KilowattHours, "2.8.2"),
    own("power_import", Unit::Kilowatts, "1.7.0"),
    own("power_export", Unit::Kilowatts, "2.7.0"),
    own("power_import_l1", Unit::Kilowatts, "21.7.0"),
    own("power_import_l2", Unit::Kilowatts, "41.7.0"),
    own("power_import_l3", Unit::Kilowatts, "61.7.0"),
    own("power_export_l1", Unit::Kilowatts, "22.7.0"),
    own("power_export_l2", Unit::Kilowatts, "42.7.0"),
    own("power_export_l3", Unit::Kilowatts, "62.7.0"),
    own("voltage_l1", Unit::Volts, "32.7.0"),
    own("voltage_l2", Unit::Volts, "52.7.0"),
    own("voltage_l3", Unit::Volts, "72.7.0"),
    own("current_l1", Unit::Amperes, "31.7.0"),
    own("current_l2", Unit::Amperes, "51.7.0"),
    own("current_l3", Unit::Amperes, "71.7.0"),
    Column { name: "gas", unit: Unit::CubicMetres, code: Code::Other(&[3]) },
    Column { name: "water", unit: Unit::CubicMetres, code: Code::Other(&[6, 7]) },
    Column { name: "heat", unit: Unit::Gigajoules, code: Code::Other(&[4, 12]) },
];

/// Whether a telegram, from `/` to `!`, is whole.
///
/// # Errors
/// [`Fault::Checksum`] when its CRC is wrong, [`Fault::Garbled`] when it lacks the one that its version has.
pub(super) fn judge(body: &[u8], crc: &[u8]) -> Result<(), Fault> {
    if crc.is_empty() {
        // The line with the version came with version 4, as the CRC did.
        let has_version = body.windows(10).any(|window| window == b"1-3:0.2.8(");
        return if has_version { Err(Fault::Garbled("a telegram without CRC".to_owned())) } else { Ok(()) };
    }
    let given = String::from_utf8_lossy(crc);
    let expected = crc16(body);
    // Some meters leave out the zeros in front.
    let is_right = crc.len() <= 4 && u16::from_str_radix(&given, 16) == Ok(expected);
    let fault = || Fault::Checksum(format!("{} where {expected:04X} belongs", quoted(&given)));
    if is_right { Ok(()) } else { Err(fault()) }
}

/// The values in a telegram. A code that is not there, or has no value, has nothing to say.
pub(super) fn values(telegram: &str) -> Vec<(usize, f64)> {
    // Old gas meters have their value in a line of its own.
    let telegram = telegram.replace("\r\n(", "(").replace("\n(", "(");
    let mut own: BTreeMap<&str, &str> = BTreeMap::new();
    // By the channel of the connected meter: its kind and its value.
    let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
    let mut others: Vec<(&str, String)> = Vec::new();
    for line in telegram.lines() {
        let Some((code, values)) = line.split_once('(') else { continue };
        let Some((medium, code)) = code.split_once(':') else { continue };
        let values: Vec<&str> = values.trim_end().trim_end_matches(')').split(")(").collect();
        let last = values.last().copied().unwrap_or_default();
        match (medium, code) {
            ("1-0", _) => {
                own.entry(code).or_insert(last);
            }
            (_, "24.1.0") => {
                kinds.extend(last.parse().ok().map(|kind| (medium, kind)));
            }
            (_, "24.2.1" | "24.2.3") => others.push((medium, last.to_owned())),
            // Time, state, interval, count, code, unit, value.
            (_, "24.3.0") if values.len() >= 7 => others.push((medium, format!("{last}*{}", values[values.len() - 2]))),
            _ => {}
        }
    }
    let value = |column: &Column| match column.code {
        Code::Own(code) => own.get(code).and_then(|text| parse(column.unit, text)),
        Code::Other(wanted) => others.iter().find_map(|(medium, text)| {
            kinds.get(medium).filter(|kind| wanted.contains(kind)).and_then(|_| parse(column.unit, text))
        }),
    };
    COLUMNS.iter().enumerate().filter_map(|(quantity, column)| Some((quantity, value(column)?))).collect()
}

fn parse(unit: Unit, text: &str) -> Option<f64> {
    let (number, written) = text.split_once('*')?;
    Some(number::parse(number).ok()? / unit.steps(written)?)
}

/// A telegram of a simulated meter, with a household's use.
pub(super) fn simulated(at: Mono) -> Vec<u8> {
    let seconds = at.since_boot().as_secs();
    let (energy, power, gas) = (1_000_000 + seconds / 10, 300 + seconds / 10 % 50, 50_000 + seconds / 100);
    let mut telegram = "/SIM5\\2SIMULATED\r\n\r\n1-3:0.2.8(50)\r\n".to_owned();
    for Column { unit, code, .. } in &COLUMNS {
        let Code::Own(code) = code else { continue };
        let value = match unit {
            Unit::KilowattHours => format!("{:06}.{:03}*kWh", energy / 1000, energy % 1000),
            Unit::Kilowatts => format!("00.{power:03}*kW"),
            Unit::Volts => "230.1*V".to_owned(),
            _ => "001*A".to_owned(),
        };
        telegram.push_str(&["1-0:", code, "(", &value, ")\r\n"].concat());
    }
    for (channel, kind, unit) in [(1, 3, "m3"), (2, 7, "m3"), (3, 4, "GJ")] {
        let value = format!("{:05}.{:03}*{unit}", gas / 1000, gas % 1000);
        let lines = format!("0-{channel}:24.1.0({kind:03})\r\n0-{channel}:24.2.1(260101000000W)({value})\r\n");
        telegram.push_str(&lines);
    }
    telegram.push('!');
    let crc = crc16(telegram.as_bytes());
    format!("{telegram}{crc:04X}\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Settings;
    use super::*;
    use crate::sensor::Device as _;
    use crate::sensor::frames::tests::{Put, heard};

    fn hear(bytes: &[u8], piece: usize) -> (Vec<Put>, Option<Fault>) {
        let settings: Settings = serde_json::from_value(serde_json::json!({ "port": "/dev/ttyUSB0" })).unwrap();
        heard(&settings, bytes, piece)
    }

    fn of(puts: &[Put], name: &str) -> Option<Result<f64, Fault>> {
        let quantity = COLUMNS.iter().position(|column| column.name == name).expect("a quantity");
        puts.iter().find(|(of, _)| *of == quantity).map(|(_, value)| value.clone())
    }

    /// ndokter/dsmr_parser, test/example_telegrams.py: the whole of a meter for heat, whose CRC has three digits.
    const HEAT: &str = "/NWA-WARMTELINK\r\n\r\n1-3:0.2.8(50)\r\n0-0:1.0.0(260215200523W)\r\n\
        0-0:96.1.1(ADC3100000158491)\r\n0-0:96.13.1()\r\n0-0:96.13.0()\r\n0-1:24.1.0(004)\r\n\
        0-1:96.1.0(621848012D2C0B0C)\r\n0-1:24.2.1(260215200523W)(240.860*GJ)\r\n!B9F\r\n";

    /// The same source: DSMR 2.2, without CRC, the gas in a line of its own.
    const OLD: &str = "/ISk5\\2MT382-1004\r\n\r\n0-0:96.1.1(00000000000000)\r\n1-0:1.8.1(00001.001*kWh)\r\n\
        1-0:1.7.0(0001.01*kW)\r\n0-0:17.0.0(0999.00*kW)\r\n0-1:24.1.0(3)\r\n0-1:96.1.0(000000000000)\r\n\
        0-1:24.3.0(161107190000)(00)(60)(1)(0-1:24.2.1)(m3)\r\n(00001.001)\r\n0-1:24.4.0(1)\r\n!\r\n";

    #[test]
    fn captured_telegrams_are_read_after_half_of_one() {
        for piece in [1, 13, 2000] {
            let (puts, complaint) = hear([&HEAT[40..], HEAT].concat().as_bytes(), piece);
            assert_eq!(puts, [(22, Ok(240.86))]);
            assert_eq!(complaint, None);
        }
        let (puts, _) = hear(OLD.as_bytes(), 9);
        assert_eq!(of(&puts, "import_1"), Some(Ok(1.001)));
        assert_eq!(of(&puts, "power_import"), Some(Ok(1.01)));
        assert_eq!(of(&puts, "gas"), Some(Ok(1.001)));
        assert_eq!(puts.len(), 3);
    }

    #[test]
    fn a_wrong_crc_is_a_fault_and_one_that_is_missing_is_told() {
        let (puts, _) = hear([&HEAT.replace("240.860", "241.860"), HEAT].concat().as_bytes(), 50);
        let told = puts[0].1.clone().unwrap_err().to_string();
        assert!(told.starts_with("checksum wrong: /dev/ttyUSB0: \"B9F\" where"), "{told}");
        assert_eq!(puts[1], (22, Ok(240.86)));
        let (puts, complaint) = hear(HEAT.replace("B9F", "").as_bytes(), 50);
        assert_eq!(puts, []);
        assert!(complaint.unwrap().to_string().contains("a telegram without CRC"));
    }

    #[test]
    fn what_is_no_telegram_is_told() {
        assert!(hear(&[0xff; 3000], 256).1.unwrap().to_string().contains("no telegram begins"));
        let (_, complaint) = hear(&HEAT.as_bytes()[..60], 256);
        assert!(complaint.unwrap().to_string().contains("a telegram has no end: \"/NWA"));
    }

    #[test]
    fn other_units_are_converted_and_a_meter_without_a_reading_says_nothing() {
        let puts = values(
            "1-0:1.8.0(6545766*Wh)\r\n1-0:1.7.0(286*W)\r\n1-0:32.7.0(0230.0*A)\r\n0-1:24.1.0(003)\r\n0-1:24.2.1(700101010000W)(00000000)\r\n",
        );
        assert_eq!(puts, [(0, 6545.766), (6, 0.286)]);
    }

    #[test]
    fn simulated_telegrams_give_every_quantity() {
        let (puts, _) = hear(&simulated(Mono::new(Duration::from_secs(500))), 100);
        let settings: Settings = serde_json::from_value(serde_json::json!({ "port": "/dev/ttyUSB0" })).unwrap();
        assert_eq!(puts.len(), settings.quantities().len());
        assert!(puts.iter().all(|(_, value)| value.is_ok()));
    }
}
