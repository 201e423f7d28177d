//! What the kernel tells of links, addresses and routes (rtnetlink(7)), so that a network that comes back is tried at once.
//!
//! [`Routes`] says only that something came by which the broker may be reached: a link got its carrier, an address or a route
//! is new. Whether it leads there is for a connection to find out.
//!
//! Most of what the kernel tells is no news: an address and a route are told again whenever their lifetime is refreshed (a DHCP
//! lease, an IPv6 router advertisement), a radio link at each of its scans. Hence a bounded memory of what is there (`known`).
//! Nothing is asked of the kernel, so that what was there before us is news once, and not again.

mod known;
mod message;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recvfrom, socket_with};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use known::Known;

/// Links, and addresses and routes of IPv4 and IPv6: `RTMGRP_*` of linux/rtnetlink.h.
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;
/// Addresses and routes take a hundred bytes, links 1,500. What is longer is cut, behind all that is looked at.
const BUFFER: usize = 8192;

/// Tells of what may lead out.
pub(crate) struct Routes {
    socket: AsyncFd<OwnedFd>,
    buffer: Box<[u8]>,
    known: Known,
}

impl Routes {
    /// Begins to listen.
    ///
    /// # Errors
    /// Where the kernel has no rtnetlink for us: most likely a sandbox without `AF_NETLINK`.
    pub(crate) fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // Without a protocol it is NETLINK_ROUTE.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        #[expect(deprecated, reason = "its successor is unsafe, for the sake of types that change their descriptor")]
        let socket = AsyncFd::with_interest(socket, Interest::READABLE)?;
        Ok(Self { socket, buffer: vec![0; BUFFER].into(), known: Known::default() })
    }

    /// Waits until something came. May be dropped at its await.
    ///
    /// # Errors
    /// When the socket fails, for which there is no known reason.
    pub(crate) async fn came(&mut self) -> io::Result<()> {
        let Self { socket, buffer, known } = self;
        loop {
            let mut ready = socket.readable().await?;
            let mut is_news = false;
            // All that waits at once: an address, its routes and the link they are of come together.
            while let Ok(received) = ready.try_io(|socket| Ok(receive(socket.get_ref(), buffer)?)) {
                match received {
                    Ok(length) => is_news |= known.take(&buffer[..length]),
                    Err(error) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => {
                        is_news |= known.overflow();
                    }
                    Err(error) => return Err(error),
                }
            }
            if is_news {
                return Ok(());
            }
        }
    }
}

/// Takes the next datagram; returns how much of it there is. One that the kernel has not sent is as good as empty.
fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> rustix::io::Result<usize> {
    let (length, _, sender) = recvfrom(socket, buffer, RecvFlags::empty())?;
    let sender = sender.and_then(|sender| SocketAddrNetlink::try_from(sender).ok());
    Ok(if sender.is_some_and(|sender| sender.pid() == 0) { length } else { 0 })
}
