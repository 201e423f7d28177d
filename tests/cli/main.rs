//! The program as a newcomer meets it: what it says to a wrong call, the demo, and what it prints to be copied.
#![cfg(all(target_os = "linux", feature = "sandbox"))]

mod by_hand;
mod demo;
mod first_calls;
mod init;
#[path = "../program/mod.rs"]
mod program;
mod sandbox;
mod spool;

use std::path::Path;
use std::process::Command;

use program::tool;

/// A line for a shell as a person would type it: with gatepost on the PATH, and Mosquitto's clients there.
fn typed(line: &str) -> Command {
    // A missing client is to be told by its package's name, not by a shell.
    if line.contains("mosquitto_") {
        tool("mosquitto_pub", "mosquitto-clients");
    }
    let folder = Path::new(env!("CARGO_BIN_EXE_gatepost")).parent().expect("it is in a folder");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = [folder.to_owned()].into_iter().chain(std::env::split_paths(&path));
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("exec 2>&1; {line}"));
    command.env("PATH", std::env::join_paths(path).expect("it was one before"));
    command
}

/// What is after `password = ` in a file of credentials.
fn password_in(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("it was written");
    text.lines().find_map(|line| line.strip_prefix("password = ")).expect("the password's line").to_owned()
}
