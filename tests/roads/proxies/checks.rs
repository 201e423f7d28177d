//! What every proxy is tried with.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::program::SOON;

use super::{BROKER, Make, OPEN, PASSWORD, PROXY, PROXY_PORT, Rules, Street, USER, proxy_line};

/// One test of each check with this make of proxy.
macro_rules! rows {
    ($make:ident) => {
        crate::proxies::checks::rows!(
            $make:
            every_transport_goes_through_the_proxy_of_the_map,
            the_proxy_of_the_environment_is_used_unless_it_excepts_the_broker,
            a_password_is_given_and_a_wrong_or_missing_one_told,
            a_port_that_the_proxy_forbids_is_told,
            a_broker_that_the_proxy_cannot_reach_is_told,
            a_proxy_that_goes_away_and_comes_back_loses_nothing,
            doctor_goes_through_the_proxy_and_tells_its_step,
        );
    };
    ($make:ident: $($check:ident),+ $(,)?) => {
        $(
            #[test]
            #[ignore = "it takes a proxy of another maker: `just proxies`"]
            fn $check() {
                crate::proxies::checks::$check(&$make);
            }
        )+
    };
}
pub(super) use rows;

/// The line of the sandbox that tells of a stored entry.
const STORED: &str = "channel 1 stored entry ";

pub(super) fn every_transport_goes_through_the_proxy_of_the_map(make: &dyn Make) {
    let mut street = Street::new(make);
    let _proxy = street.proxy(&OPEN);
    for (transport, consent) in [("wss", ""), ("tls", ""), ("ws", CONSENT), ("tcp", CONSENT)] {
        let mut daemon = street.daemon(&format!("transport = \"{transport}\"\n{consent}{}", proxy_line()));
        daemon.wait_for("link up");
        street.broker.wait_for(STORED);
        assert!(!daemon.said().contains("link down"), "{transport}: {}", daemon.said());
        daemon.end_by(Signal::SIGTERM);
    }
}

const CONSENT: &str = "allow_plaintext = true\n";

pub(super) fn the_proxy_of_the_environment_is_used_unless_it_excepts_the_broker(make: &dyn Make) {
    let mut street = Street::new(make);
    let _proxy = street.proxy(&Rules { password: true, ..OPEN });
    let url = format!("http://{USER}:{}@{PROXY}:{PROXY_PORT}/", PASSWORD.replace('.', "%2E"));
    for transport in ["wss", "tls"] {
        let lines = format!("transport = \"{transport}\"\n");
        let mut daemon = street.daemon_with(&lines, &[("https_proxy", &url)]);
        daemon.wait_for("link up");
        street.broker.wait_for(STORED);
        daemon.end_by(Signal::SIGTERM);
        assert!(!daemon.said().contains(PASSWORD), "no secret in the log");
    }
    // Past the proxy there is nothing, not even the broker's name.
    let direct = |lines: &str, excepted: &str| {
        let mut daemon = street.daemon_with(lines, &[("HTTPS_PROXY", &url), ("no_proxy", excepted)]);
        let told = daemon.wait_for("link down: ");
        assert!(told.contains(&format!("the name {BROKER} cannot be resolved")), "{lines} {excepted}: {told}");
    };
    direct("", BROKER);
    direct("", ".test");
    direct("proxy = \"none\"\n", "");
    direct("transport = \"tcp\"\nallow_plaintext = true\n", "");
}

pub(super) fn a_password_is_given_and_a_wrong_or_missing_one_told(make: &dyn Make) {
    let mut street = Street::new(make);
    let _proxy = street.proxy(&Rules { password: true, ..OPEN });
    let mut daemon = street.daemon(&proxy_line());
    let told = daemon.wait_for("link down: ");
    assert!(told.contains("407") && told.contains("name it in `proxy_credentials`"), "{told}");
    daemon.end_by(Signal::SIGTERM);

    let give = |password: &str| {
        let (beside, path) = (street.house.path("beside"), street.house.path("proxy.txt"));
        fs::write(&beside, format!("username = {USER}\npassword = {password}\n")).expect("a file");
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).expect("one's own file");
        fs::rename(beside, path).expect("the same folder");
    };
    give("0pen.sesame-7");
    let mut daemon = street.daemon(&format!("{}proxy_credentials = \"proxy.txt\"\n", proxy_line()));
    let told = daemon.wait_for("link down: ");
    assert!(told.contains("wrong user name or password"), "{told}");
    give(PASSWORD);
    daemon.wait_for("link up again after");
    street.broker.wait_for(STORED);
    assert!(!daemon.said().contains("sesame"), "no secret in the log");
    daemon.end_by(Signal::SIGTERM);

    let url = format!("http://{USER}:0pen@{PROXY}:{PROXY_PORT}");
    let mut daemon = street.daemon_with("", &[("https_proxy", &url)]);
    let told = daemon.wait_for("link down: ");
    assert!(told.contains("wrong user name or password: correct them in https_proxy"), "{told}");
}

pub(super) fn a_port_that_the_proxy_forbids_is_told(make: &dyn Make) {
    let street = Street::new(make);
    let _proxy = street.proxy(&Rules { ports: &[443], ..OPEN });
    let mut daemon = street.daemon(&format!("transport = \"tls\"\n{}", proxy_line()));
    let told = daemon.wait_for("link down: ");
    assert!(told.contains("403") && told.contains("must allow CONNECT to that port"), "{told}");
}

pub(super) fn a_broker_that_the_proxy_cannot_reach_is_told(make: &dyn Make) {
    let mut street = Street::new(make);
    let _proxy = street.proxy(&OPEN);
    street.broker.end_by(Signal::SIGKILL);
    let mut daemon = street.daemon(&proxy_line());
    let told = daemon.wait_for("link down: ");
    assert!(told.contains(&format!("cannot reach {BROKER}:443 itself")), "{told}");
}

pub(super) fn a_proxy_that_goes_away_and_comes_back_loses_nothing(make: &dyn Make) {
    let mut street = Street::new(make);
    let mut proxy = street.proxy(&OPEN);
    let mut daemon = street.daemon(&proxy_line());
    daemon.wait_for("link up");
    street.broker.wait_for(STORED);
    proxy.end_by(Signal::SIGKILL);
    daemon.wait_for("link down: ");
    let told = street.doctor(&proxy_line());
    assert!(told.contains(&format!("the proxy of broker.proxy: nothing listens at {PROXY}:{PROXY_PORT}")), "{told}");
    assert!(told.contains("check broker.proxy") && !told.contains("check broker.port"), "{told}");
    for _ in 0..2 {
        daemon.wait_for(" made");
    }
    let _proxy = street.proxy(&OPEN);
    daemon.wait_for("link up again after");
    let entries = times(&daemon.said(), "entry of ", " made");
    assert!(entries.len() >= 3, "{entries:?}");
    let until = Instant::now() + SOON;
    loop {
        let stored = times(&street.broker.said(), " of ", " from ");
        assert!((1..stored.len()).all(|place| !stored[..place].contains(&stored[place])), "twice: {stored:?}");
        if entries.iter().all(|at| stored.contains(at)) {
            break;
        }
        assert!(Instant::now() < until, "made {entries:?}, stored {stored:?}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// What stands between these words in lines of channel 1's entries: their times.
fn times(said: &str, before: &str, behind: &str) -> Vec<String> {
    let lines = said.lines().filter(|line| line.contains(STORED) || line.contains("channel house: "));
    lines.filter_map(|line| Some(line.split_once(before)?.1.split_once(behind)?.0.to_owned())).collect()
}

pub(super) fn doctor_goes_through_the_proxy_and_tells_its_step(make: &dyn Make) {
    let street = Street::new(make);
    let _proxy = street.proxy(&OPEN);
    let said = street.doctor(&proxy_line());
    let steps = [
        ("ok", "DNS", PROXY),
        ("ok", "TCP", "answered after"),
        ("ok", "proxy", &format!("{PROXY}:{PROXY_PORT} (broker.proxy) connects to {BROKER}:443")),
        ("ok", "TLS", "held against"),
        ("ok", "WebSocket", "answered 101"),
        ("ok", "CONNACK", ""),
        ("ok", "SUBACK", ""),
    ];
    for (verdict, step, words) in steps {
        let line = said.lines().find(|line| line.split_whitespace().take(2).eq([verdict, step]));
        assert!(line.is_some_and(|line| line.contains(words)), "{verdict} {step} {words}: {said}");
    }
}
