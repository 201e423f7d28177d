//! Which part it may be that answers at an address, where none of our kinds knows it: by its chip id, or by what is usually there.
//!
//! An address says little, since many parts share each; what is said here is meant as a guess and told as one.

use crate::sensor::recognition::Identity;

/// Parts that say what they are, and have no driver of ours (register map of the MPU-6000 family, 4.32: WHO_AM_I).
pub(super) const OTHERS: Identity =
    Identity::byte(&[0x68, 0x69], 0x75, &[(0x68, "MPU-6050"), (0x70, "MPU-6500"), (0x71, "MPU-9250")]);

/// What people usually have at an address.
pub(super) const fn usual(address: u8) -> Option<&'static str> {
    Some(match address {
        0x10 => "VEML7700 light sensor",
        0x18..=0x1f => "MCP9808 thermometer",
        0x29 => "VL53L0X distance or TSL2591 light sensor",
        0x38 => "AHT20 humidity sensor",
        0x39 => "TSL2561 or APDS-9960 light sensor",
        0x3c | 0x3d => "SSD1306 display",
        0x40 => "INA219 power meter, HTU21 or SI7021 humidity sensor",
        0x41..=0x43 | 0x46 | 0x47 => "INA219 or INA226 power meter",
        0x44 | 0x45 => "SHT3x or SHT4x humidity sensor, INA219 power meter",
        0x48..=0x4b => "ADS1115 converter, LM75 or TMP102 thermometer",
        0x50..=0x57 => "EEPROM, or a screen's identification",
        0x58 => "SGP30 gas sensor",
        0x59 => "SGP40 gas sensor",
        0x5a => "CCS811 gas or MLX90614 infrared sensor",
        0x5c => "BH1750 light or AM2320 humidity sensor",
        0x23 => "BH1750 light sensor, or a port expander",
        0x20..=0x27 => "PCF8574 or MCP23017 port expander, LCD backpack",
        0x61 => "SCD30 carbon dioxide sensor",
        0x62 => "SCD4x carbon dioxide sensor",
        0x68 => "DS3231 clock or MPU-6050 motion sensor",
        0x69 => "MPU-6050 motion sensor",
        0x70 => "SHTC3 humidity sensor, TCA9548A multiplexer",
        0x76 | 0x77 => "MS5611 air sensor",
        _ => return None,
    })
}
