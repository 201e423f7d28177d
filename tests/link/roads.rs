//! What stands on the way in place of the broker.

use std::io::{Read as _, Write as _};

use crate::house::House;
use crate::peer::listen;

/// A network that answers whatever is asked on a TLS port with its login page in the clear.
#[test]
fn a_login_page_on_the_port_of_tls_is_told_as_one() {
    for (answer, words) in [
        (
            "HTTP/1.1 302 Found\r\nLocation: http://login.hotel.example/?id=7\r\nContent-Length: 0\r\n\r\n",
            "redirects the connection to http://login.hotel.example/: perhaps its login page",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>log in</html>", "perhaps this network's login page"),
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "a web server without TLS answers"),
        ("SSH-2.0-OpenSSH_9.2p1\r\n", "an SSH server answers there"),
    ] {
        let port = listen(move |stream| {
            let mut hello = [0; 2048];
            let _ = stream.read(&mut hello)?;
            stream.write_all(answer.as_bytes())
        });
        let said = House::new(&format!("host = \"127.0.0.1\"\nport = {port}")).doctor();
        let line = said.lines().find(|line| line.starts_with("WRONG    TLS")).unwrap_or_else(|| panic!("{said}"));
        assert!(line.contains(words) && !line.contains("id=7"), "{line}");
    }
}
