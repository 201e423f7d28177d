//! How to reach the broker.

use super::*;

#[test]
fn a_plaintext_transport_has_to_be_allowed() {
    let fault = "`tcp` sends the password and every reading unencrypted";
    assert_eq!(faults_with("\n[broker]\ntransport = \"tcp\""), [fault]);
    assert_eq!(faults_with("\n[broker]\ntransport = \"tcp\"\nallow_plaintext = false"), [fault]);
    assert!(faults_with("\n[broker]\ntransport = \"tcp\"\nallow_plaintext = true").is_empty());
}

#[test]
fn a_session_is_renewed_before_the_idle_limit() {
    for wrong in ["60m", "9s"] {
        let found = faults_with(&format!("\n[broker]\nrenew = \"{wrong}\""));
        assert_eq!(found, ["`renew` is at least 10s and less than the broker's idle limit of 60m"]);
    }
    assert!(faults_with("\n[broker]\nrenew = \"10s\"").is_empty());
}

#[test]
fn plaintext_that_is_allowed_without_need_is_warned_about() {
    let found = warnings_with("\n[broker]\nallow_plaintext = true");
    assert_eq!(found, ["`wss` is encrypted: `allow_plaintext` does nothing"]);
    assert!(warnings_with("\n[broker]\nallow_plaintext = false").is_empty());
}

#[test]
fn a_host_is_a_host_alone() {
    let found = |host: &str| faults_with(&format!("\n[broker]\nhost = \"{host}\""));
    for host in ["broker.example", "192.0.2.1", "2001:db8::1", "[2001:db8::1]"] {
        assert!(found(host).is_empty(), "{host}");
    }
    for host in ["broker.example:8883", "[2001:db8::1]:8883", "broker.example:"] {
        assert_eq!(found(host), ["the port belongs in `port`, not in `host`"], "{host}");
    }
    for host in ["wss://broker.example", "broker.example/mqtt"] {
        assert_eq!(found(host), ["`host` is a name, not an address with a scheme or path"], "{host}");
    }
}

#[test]
fn several_hosts_are_a_list_and_not_a_text() {
    let help = |host: &str| {
        let folder = folder();
        let map = format!("{SMALL}\n[broker]\nhost = \"{host}\"");
        let report = parse(&map, &folder.path().join("map.toml")).expect_err("a fault").to_string();
        assert!(report.contains("these are several hosts, and `host` is one"), "{report}");
        report
    };
    for host in ["a.test,b.test", "a.test b.test", "a.test; b.test"] {
        assert!(help(host).contains("write `hosts = [\"a.test\", \"b.test\"]` in place of `host`"), "{host}");
    }
    assert!(faults_with("\n[broker]\nhosts = [\"a.test\", \"2001:db8::1\"]").is_empty());
    assert_eq!(faults_with("\n[broker]\nhosts = []"), ["`hosts` is empty"]);
    assert_eq!(faults_with("\n[broker]\nhosts = [\"a\", \"a\"]"), ["`a` is listed twice"]);
    assert_eq!(faults_with("\n[broker]\nhost = \"a\"\nhosts = [\"b\"]"), ["`host` and `hosts` say the same"]);
    assert_eq!(faults_with("\n[broker]\nhosts = [\"a:1883\"]"), ["the port belongs in `port`, not in `host`"]);
    for wrong in ["a_b!", "a\\tb", "", "@a"] {
        assert_eq!(faults_with(&format!("\n[broker]\nhost = \"{wrong}\"")).len(), 1, "{wrong}");
    }
    assert_eq!(faults_with("\n[broker]\nhost = \"bröker.example\""), ["a host name cannot have these letters"]);
}

#[test]
fn a_path_is_that_of_a_websocket() {
    let found = |path: &str| faults_with(&format!("\n[broker]\npath = \"{path}\""));
    for path in ["/", "/ws", "/mqtt?x=1"] {
        assert!(found(path).is_empty(), "{path}");
    }
    assert_eq!(found("ws"), ["a path begins with `/`"]);
    assert_eq!(found("/a b"), ["a path cannot have blanks or `#`"]);
    let found = warnings_with("\n[broker]\ntransport = \"tls\"\npath = \"/ws\"");
    assert_eq!(found, ["`tls` has no WebSocket: `path` does nothing"]);
}

#[test]
fn a_proxy_is_an_address_with_its_password_elsewhere() {
    let found = |lines: &str| faults_with(&format!("\n[broker]\n{lines}"));
    for fine in ["http://proxy.example:3128", "proxy.example:3128", "none", "http://[fd00::1]:3128/"] {
        assert!(found(&format!("proxy = \"{fine}\"")).is_empty(), "{fine}");
    }
    assert!(found("proxy = \"http://p:1\"\nproxy_credentials = \"garden.txt\"").is_empty());
    assert_eq!(found("proxy = \"http://p\""), ["the proxy's port is missing"]);
    assert_eq!(found("proxy = \"https://p:1\""), ["only `http` proxies are supported, not `https`"]);
    assert_eq!(found("proxy = \"http://me:sesame@p:1\""), ["a user name or password does not belong in the map"]);
    assert_eq!(found("proxy = \"http://p:1\"\nproxy_credentials = \"x\""), ["there is no file x"]);
    assert_eq!(
        found("proxy = \"none\"\nproxy_credentials = \"garden.txt\""),
        ["`proxy = \"none\"` needs no \
                                                                                credentials"]
    );
    assert_eq!(found("proxy_credentials = \"garden.txt\"").len(), 1);
}

#[test]
fn a_ca_file_is_there_and_holds_a_certificate() {
    assert_eq!(faults_with("\n[broker]\nca_file = \"ca.pem\""), ["there is no file ca.pem"]);
    let found = faults_with("\n[broker]\nca_file = \"garden.txt\"");
    assert_eq!(found, ["garden.txt holds no certificate in PEM form"]);
    let folder = folder();
    std::fs::write(folder.path().join("ca.pem"), "-----BEGIN CERTIFICATE-----\n").expect("a file");
    let map = format!("{SMALL}\n[broker]\nca_file = \"ca.pem\"");
    assert!(parse(&map, &folder.path().join("map.toml")).is_ok());
}
