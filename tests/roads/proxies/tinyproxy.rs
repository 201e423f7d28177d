//! tinyproxy.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use super::{Make, PASSWORD, PROXY_ADDRESS, PROXY_PORT, Rules, USER, checks};
use crate::house::House;

struct Tinyproxy;

impl Make for Tinyproxy {
    fn command(&self, house: &House, rules: &Rules) -> (Command, &'static str) {
        let mut text =
            format!("Listen {PROXY_ADDRESS}\nPort {PROXY_PORT}\nTimeout 600\nMaxClients 50\nLogLevel Info\n");
        for port in rules.ports {
            writeln!(text, "ConnectPort {port}").expect("a String takes everything");
        }
        if rules.password {
            writeln!(text, "BasicAuth {USER} {PASSWORD}").expect("a String takes everything");
        }
        let path = house.path("tinyproxy.conf");
        fs::write(&path, text).expect("a file");
        let mut command = Command::new("/usr/bin/tinyproxy");
        command.arg("-d").arg("-c").arg(path);
        (command, "Accepting connections")
    }
}

checks::rows!(Tinyproxy);
