//! Pieces of the maps that several suites share. A map is made of them in a row: the broker first, and more keys of a channel
//! right behind its piece.

/// The version, and a broker that is reached without TLS.
pub(crate) fn broker(host: &str, port: u16) -> String {
    format!("version = 1\n[broker]\nhost = \"{host}\"\nport = {port}\ntransport = \"tcp\"\nallow_plaintext = true\n")
}

/// The channel that entries go to.
pub(crate) const HOUSE: &str = "\n[channel.house]\nid = 1\nlicense = \"paid\"\n";

/// The channel that commands come from.
pub(crate) const SWITCHES: &str = "\n[channel.switches]\nid = 2\nlicense = \"paid\"\n";

/// A sensor that reads a number from a file each second, for this place.
pub(crate) fn file_sensor(name: &str, path: &str, to: &str) -> String {
    format!("\n[[sensor]]\nname = \"{name}\"\nuse = \"file\"\npath = \"{path}\"\nevery = \"1s\"\nto.value = \"{to}\"\n")
}

/// An output at pin 17 for the first field of [`SWITCHES`].
pub(crate) const LAMP: &str = "\n[[output]]\nname = \"lamp\"\npin = 17\nfrom = \"switches.field1\"\n";
