//! Where a device sits, in words that stay the same over a boot.

/// Where a device sits, from the kernel's name for it: `1-0020` on I2C is `i2c-1:0x20`. Other names are people's already.
pub fn place_of_device(device: &str) -> String {
    let i2c = device.split_once('-').and_then(|(bus, address)| {
        let bus: u32 = bus.parse().ok()?;
        let address = u16::from_str_radix(address, 16).ok().filter(|_| address.len() == 4)?;
        Some(format!("i2c-{bus}:0x{address:02x}"))
    });
    i2c.unwrap_or_else(|| device.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_of_an_i2c_device_is_its_bus_and_address() {
        assert_eq!(place_of_device("1-0020"), "i2c-1:0x20");
        assert_eq!(place_of_device("22-0077"), "i2c-22:0x77");
        for other in ["spi0.0", "gpio-sim.0", "1-1.2", "1-20"] {
            assert_eq!(place_of_device(other), other);
        }
    }
}
