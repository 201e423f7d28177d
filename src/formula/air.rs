//! What is reckoned of air. Temperatures are in °C, humidities in % relative to saturation over water.

/// Over water: WMO-No. 8 (Guide to Instruments and Methods of Observation), volume I, annex 4.B. In hPa.
fn saturation_pressure(temperature: f64) -> f64 {
    6.112 * (17.62 * temperature / (243.12 + temperature)).exp()
}

/// In °C: where the air is saturated. The inverse of the formula above.
pub(super) fn dew_point(temperature: f64, humidity: f64) -> f64 {
    let exponent = (humidity / 100.0).ln() + 17.62 * temperature / (243.12 + temperature);
    243.12 * exponent / (17.62 - exponent)
}

/// In g/m³: the gas law for water vapour, whose constant is 461.5 J/(kg K).
pub(super) fn absolute_humidity(temperature: f64, humidity: f64) -> f64 {
    let pascal = humidity * saturation_pressure(temperature);
    1000.0 * pascal / (461.5 * (temperature + 273.15))
}

/// In kPa: FAO Irrigation and Drainage Paper 56, equation 11, for one measurement of both.
pub(super) fn vapour_pressure_deficit(temperature: f64, humidity: f64) -> f64 {
    0.6108 * (17.27 * temperature / (temperature + 237.3)).exp() * (1.0 - humidity / 100.0)
}

/// In °C: the regression of the US National Weather Service (Rothfusz, SR 90-23) with its adjustments, which is in °F.
pub(super) fn heat_index(temperature: f64, humidity: f64) -> f64 {
    let (t, r) = (temperature * 1.8 + 32.0, humidity);
    let simple = 0.5 * (t + 61.0 + (t - 68.0) * 1.2 + r * 0.094);
    let index = if f64::midpoint(simple, t) < 80.0 {
        simple
    } else {
        let full = -42.379 + 2.049_015_23 * t + 10.143_331_27 * r
            - 0.224_755_41 * t * r
            - 6.837_83e-3 * t * t
            - 5.481_717e-2 * r * r
            + 1.228_74e-3 * t * t * r
            + 8.528_2e-4 * t * r * r
            - 1.99e-6 * t * t * r * r;
        if r < 13.0 && (80.0..=112.0).contains(&t) {
            full - (13.0 - r) / 4.0 * ((17.0 - (t - 95.0).abs()) / 17.0).sqrt()
        } else if r > 85.0 && (80.0..=87.0).contains(&t) {
            full + (r - 85.0) / 10.0 * (87.0 - t) / 5.0
        } else {
            full
        }
    };
    (index - 32.0) / 1.8
}

/// In °C, of a wind in km/h, ten metres above the ground: the index of Environment Canada and the US National Weather Service, of 2001.
/// Above 10 °C and in a calm it says nothing: there it is the air's temperature.
pub(super) fn wind_chill(temperature: f64, wind: f64) -> f64 {
    if temperature > 10.0 || wind < 4.8 {
        return temperature;
    }
    let v = wind.powf(0.16);
    13.12 + 0.6215 * temperature - 11.37 * v + 0.3965 * temperature * v
}

/// In hPa, of a pressure in hPa at so many metres: the ICAO standard atmosphere's 6.5 K for each 1000 m, from the temperature
/// that is measured.
pub(super) fn sea_level_pressure(pressure: f64, temperature: f64, altitude: f64) -> f64 {
    let below = 0.0065 * altitude;
    pressure * (1.0 - below / (temperature + below + 273.15)).powf(-5.255_88)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, published: f64, within: f64, what: &str) {
        assert!((value - published).abs() <= within, "{what}: {value} instead of {published}");
    }

    #[test]
    fn vapour_pressure_is_that_of_the_smithsonian_tables() {
        // Smithsonian Meteorological Tables (Goff and Gratch), table 94, in hPa.
        for (t, hpa) in [(0.0, 6.1078), (10.0, 12.272), (20.0, 23.373), (30.0, 42.430), (40.0, 73.777)] {
            near(saturation_pressure(t), hpa, hpa * 0.004, "vapour pressure");
        }
    }

    #[test]
    fn dew_point_is_where_the_air_is_saturated() {
        // Dew points to a tenth, as charts of the relation have them.
        for (t, r, published) in [(20.0, 50.0, 9.3), (25.0, 50.0, 13.9), (30.0, 70.0, 23.9), (25.0, 100.0, 25.0)] {
            near(dew_point(t, r), published, 0.06, "dew point");
        }
        for t in [-30.0, 0.0, 21.5] {
            let vapour = saturation_pressure(t) * 0.37;
            near(saturation_pressure(dew_point(t, 37.0)), vapour, 1e-9, "its own inverse");
        }
        assert!(!dew_point(20.0, 0.0).is_finite() || dew_point(20.0, 0.0) <= -243.0, "dry air has none");
    }

    #[test]
    fn absolute_humidity_is_that_of_saturated_air() {
        // Density of saturated vapour, Smithsonian Meteorological Tables, table 108, in g/m³.
        for (t, published) in [(0.0, 4.847), (10.0, 9.399), (20.0, 17.300), (30.0, 30.380)] {
            near(absolute_humidity(t, 100.0), published, published * 0.005, "absolute humidity");
        }
        near(absolute_humidity(20.0, 50.0), 8.65, 0.05, "half of it");
    }

    #[test]
    fn vapour_pressure_deficit_is_that_of_fao_56() {
        // Annex 2, table 2.3: saturation vapour pressure in kPa.
        for (t, published) in [(10.0, 1.228), (20.0, 2.338), (25.0, 3.168), (30.0, 4.243), (40.0, 7.376)] {
            near(vapour_pressure_deficit(t, 0.0), published, 0.001, "dry air");
            near(vapour_pressure_deficit(t, 75.0), published / 4.0, 0.001, "a quarter");
        }
        near(vapour_pressure_deficit(25.0, 100.0), 0.0, 1e-12, "saturated");
    }

    #[test]
    fn heat_index_is_that_of_the_weather_service_s_chart() {
        // The chart of the National Weather Service, whole °F.
        for (t, r, published) in [
            (80.0, 40.0, 80.0),
            (90.0, 40.0, 91.0),
            (100.0, 40.0, 109.0),
            (110.0, 40.0, 136.0),
            (90.0, 50.0, 95.0),
            (100.0, 50.0, 118.0),
            (90.0, 70.0, 105.0),
            (86.0, 90.0, 105.0),
            (90.0, 90.0, 122.0),
            (84.0, 100.0, 103.0),
        ] {
            let index = heat_index((t - 32.0) / 1.8, r) * 1.8 + 32.0;
            near(index, published, 1.05, "heat index");
        }
        near(heat_index(20.0, 50.0), 19.4, 0.1, "the simple formula below 80 °F");
    }

    #[test]
    fn wind_chill_is_that_of_environment_canada_s_table() {
        for (t, wind, published) in [
            (5.0, 40.0, -1.0),
            (0.0, 10.0, -3.0),
            (0.0, 40.0, -7.0),
            (-10.0, 20.0, -18.0),
            (-20.0, 30.0, -33.0),
            (-25.0, 50.0, -42.0),
            (-40.0, 60.0, -64.0),
        ] {
            near(wind_chill(t, wind), published, 0.5, "wind chill");
        }
        near(wind_chill(-5.0, 2.0), -5.0, 0.0, "calm");
        near(wind_chill(15.0, 40.0), 15.0, 0.0, "warm");
    }

    #[test]
    fn sea_level_pressure_is_that_of_the_icao_standard_atmosphere() {
        // ICAO Doc 7488: metres, °C, hPa.
        for (altitude, t, pressure) in [
            (0.0, 15.0, 1013.25),
            (500.0, 11.75, 954.61),
            (1000.0, 8.5, 898.75),
            (2000.0, 2.0, 794.95),
            (3000.0, -4.5, 701.09),
        ] {
            near(sea_level_pressure(pressure, t, altitude), 1013.25, 0.02, "sea level");
        }
    }
}
