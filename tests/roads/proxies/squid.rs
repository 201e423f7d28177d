//! Squid.

use std::fs;
use std::process::Command;

use super::{Make, PROXY_ADDRESS, PROXY_PORT, Rules, USER, checks};
use crate::house::House;

/// The proxy's password in the form of crypt(3), as `openssl passwd -1` makes it.
const HASHED: &str = "$1$gatepost$khJ6HLj18nvdVgYxkWJeg/";

struct Squid;

impl Make for Squid {
    fn command(&self, house: &House, rules: &Rules) -> (Command, &'static str) {
        let ports: Vec<_> = rules.ports.iter().map(ToString::to_string).collect();
        let (passwords, path) = (house.path("passwords"), house.path("squid.conf"));
        fs::write(&passwords, format!("{USER}:{HASHED}\n")).expect("a file");
        let access = if rules.password { "known" } else { "all" };
        let text = format!(
            "http_port {PROXY_ADDRESS}:{PROXY_PORT}\nvisible_hostname proxy.test\npid_filename none\ncache deny all\n\
             cache_log /dev/stderr\naccess_log none\ncoredump_dir /\nshutdown_lifetime 0 seconds\n\
             acl allowed port {}\nhttp_access deny !allowed\n\
             auth_param basic program /usr/lib/squid/basic_ncsa_auth {}\nacl known proxy_auth REQUIRED\n\
             http_access allow {access}\nhttp_access deny all\n",
            ports.join(" "),
            passwords.display()
        );
        fs::write(&path, text).expect("a file");
        let mut command = Command::new("/usr/sbin/squid");
        command.args(["-N", "-d", "1", "-f"]).arg(path);
        (command, "Accepting HTTP Socket connections")
    }
}

checks::rows!(Squid);
