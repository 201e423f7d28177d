//! The machine's serial ports, by tokio-serial.

use std::io;

use tokio_serial::{DataBits, ErrorKind, FlowControl, SerialPortBuilderExt, SerialStream, StopBits};

use super::tcp;
use crate::hal::{HalError, Parity, PortOptions, SerialPort, SerialPorts, TCP};

/// The serial ports of this machine. A port is taken for itself alone unless its options say otherwise: two readers would
/// each get half.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MachinePorts;

impl SerialPorts for MachinePorts {
    fn open(&self, path: &str, options: PortOptions) -> Result<Box<dyn SerialPort>, HalError> {
        if let Some(address) = path.strip_prefix(TCP) {
            return tcp::connect(address);
        }
        let data_bits = match options.data_bits {
            5 => DataBits::Five,
            6 => DataBits::Six,
            7 => DataBits::Seven,
            _ => DataBits::Eight,
        };
        let parity = match options.parity {
            Parity::None => tokio_serial::Parity::None,
            Parity::Even => tokio_serial::Parity::Even,
            Parity::Odd => tokio_serial::Parity::Odd,
        };
        let port = tokio_serial::new(path, options.baud)
            .data_bits(data_bits)
            .parity(parity)
            .stop_bits(if options.stop_bits == 2 { StopBits::Two } else { StopBits::One })
            .flow_control(FlowControl::None)
            .open_native_async();
        let port = port.and_then(|port| share(port, options.exclusive));
        match port {
            Ok(port) => Ok(Box::new(port)),
            Err(error) => Err(hal_error(path, &error)),
        }
    }
}

/// The library takes each port for itself alone (`TIOCEXCL`); this gives it free again where the map says so.
#[cfg(unix)]
fn share(mut port: SerialStream, exclusive: bool) -> tokio_serial::Result<SerialStream> {
    if !exclusive {
        port.set_exclusive(false)?;
    }
    Ok(port)
}

#[cfg(not(unix))]
fn share(port: SerialStream, _exclusive: bool) -> tokio_serial::Result<SerialStream> {
    Ok(port)
}

fn hal_error(path: &str, error: &tokio_serial::Error) -> HalError {
    let what = path.to_owned();
    match error.kind {
        // On Unix this kind stands for EBUSY and for a lock held by another program; elsewhere it means what it says.
        ErrorKind::NoDevice if cfg!(unix) => HalError::Busy { what },
        ErrorKind::Io(io::ErrorKind::PermissionDenied) => HalError::Permission { what, group: "dialout" },
        ErrorKind::Io(io::ErrorKind::NotFound) => HalError::Io { what, error: "there is no such port".to_owned() },
        _ => HalError::Io { what, error: error.description.clone() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_a_port_say_what_to_do() {
        let of = |kind| hal_error("/dev/ttyUSB0", &tokio_serial::Error::new(kind, "words"));
        let denied = of(ErrorKind::Io(io::ErrorKind::PermissionDenied));
        assert_eq!(denied.to_string(), "no permission for /dev/ttyUSB0: the user must be in the group dialout");
        assert_eq!(of(ErrorKind::Io(io::ErrorKind::NotFound)).to_string(), "/dev/ttyUSB0: there is no such port");
        assert_eq!(of(ErrorKind::Unknown).to_string(), "/dev/ttyUSB0: words");
        #[cfg(unix)]
        assert_eq!(of(ErrorKind::NoDevice), HalError::Busy { what: "/dev/ttyUSB0".to_owned() });
    }

    #[cfg(target_os = "linux")]
    mod on_a_pseudo_terminal {
        use std::fs::{self, File};
        use std::io::Write;
        use std::os::fd::AsRawFd;

        use nix::pty::openpty;
        use tokio::io::AsyncReadExt;

        use super::*;

        #[tokio::test]
        async fn port_reads_what_its_peer_writes_and_is_held_alone() {
            let pty = openpty(None, None).expect("a pseudo terminal");
            let path = fs::read_link(format!("/proc/self/fd/{}", pty.slave.as_raw_fd())).expect("it has a path");
            let path = path.to_str().expect("/dev/pts and a number");
            let mut port = MachinePorts.open(path, PortOptions::new(9600)).expect("free");
            let Err(error) = MachinePorts.open(path, PortOptions::new(9600)) else { panic!("it is taken") };
            assert_eq!(error, HalError::Busy { what: path.to_owned() });

            // Every byte must pass as it is: control characters, NUL, and what a terminal would turn into a line end.
            let bytes = b"\x00\x03\x04\r\n\x11\x13\x7f\xff";
            let mut peer = File::from(pty.master);
            peer.write_all(bytes).expect("written");
            let mut read = [0; 9];
            port.read_exact(&mut read).await.expect("all of them");
            assert_eq!(&read, bytes);
        }

        #[tokio::test]
        async fn port_that_was_opened_where_blocking_is_allowed_is_driven_by_the_runtime() {
            let pty = openpty(None, None).expect("a pseudo terminal");
            let path = fs::read_link(format!("/proc/self/fd/{}", pty.slave.as_raw_fd())).expect("it has a path");
            let open = move || MachinePorts.open(path.to_str().expect("/dev/pts and a number"), PortOptions::new(9600));
            let opened = tokio::task::spawn_blocking(open).await.expect("no panic");
            let mut port = opened.expect("free");

            let mut read = [0; 2];
            let mut peer = File::from(pty.master);
            let write = async { peer.write_all(b"ok").expect("written") };
            let (read_all, ()) = tokio::join!(port.read_exact(&mut read), write);
            read_all.expect("both of them");
            assert_eq!(&read, b"ok");
        }

        #[tokio::test]
        async fn port_that_is_not_exclusive_is_opened_a_second_time() {
            let pty = openpty(None, None).expect("a pseudo terminal");
            let path = fs::read_link(format!("/proc/self/fd/{}", pty.slave.as_raw_fd())).expect("it has a path");
            let path = path.to_str().expect("/dev/pts and a number");
            let shared = PortOptions { exclusive: false, ..PortOptions::new(9600) };
            let _first = MachinePorts.open(path, shared).expect("free");
            // Each opening takes and releases the lock.
            assert!(File::open(path).is_ok(), "another program may open it too");
        }

        #[tokio::test]
        async fn what_is_no_port_is_an_error() {
            let Err(error) = MachinePorts.open("/dev/no-such-port", PortOptions::new(9600)) else { panic!("missing") };
            assert_eq!(error.to_string(), "/dev/no-such-port: there is no such port");
            assert!(matches!(MachinePorts.open("/dev/null", PortOptions::new(9600)), Err(HalError::Io { .. })));
        }
    }
}
