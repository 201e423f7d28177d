//! TLS as gatepost does it: the certificate chain and the host name are always verified.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_rustls::{TlsConnector, rustls};

use super::certificate;
use super::explain;
use super::failure::{Failure, Kind};
use super::http::{self, Answer};
use super::peer::Peer;
use super::recording::RecordingVerifier;
use super::road::Road;
use crate::hal::Clock;

/// Bytes of a line's beginning that are kept: what answers in the clear gives itself away in its first words.
const BEGINNING: usize = 512;

/// What certificates are held against.
#[derive(Clone, Debug)]
pub struct Trust {
    config: Arc<ClientConfig>,
    witness: Arc<RecordingVerifier>,
    roots: String,
}

impl Trust {
    /// Trusts the roots in `ca_file`, or else the system's, or else (an image without ca-certificates) Mozilla's as of this
    /// build. Reads files: not on the runtime's thread.
    ///
    /// # Errors
    /// When `ca_file` holds no certificate.
    pub fn read(ca_file: Option<&Path>) -> Result<Self, Failure> {
        let (store, roots) = match ca_file {
            Some(path) => (roots_of(path)?, format!("the root certificates in {}", path.display())),
            None => system_roots(),
        };
        let (config, witness) = RecordingVerifier::config(store).map_err(|error| Failure::new(Kind::Tls, error))?;
        Ok(Self { config, witness, roots })
    }

    /// In words whose roots they are.
    pub fn roots(&self) -> &str {
        &self.roots
    }

    /// Whose certificate was shown last, accepted or not.
    pub fn seen(&self) -> Option<Peer> {
        self.witness.seen()
    }
}

fn roots_of(path: &Path) -> Result<RootCertStore, Failure> {
    let fail = |why: String| Failure::new(Kind::Tls, format!("ca_file {}: {why}", path.display()));
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fail(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    let (good, _) = roots.add_parsable_certificates(certificates);
    if good == 0 { Err(fail("holds no certificate in PEM form".to_owned())) } else { Ok(roots) }
}

fn system_roots() -> (RootCertStore, String) {
    let mut roots = RootCertStore::empty();
    let (good, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if good == 0 {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return (roots, "the Mozilla root certificates built into gatepost, since this system has none".to_owned());
    }
    (roots, format!("this system's {good} root certificates"))
}

/// Talks TLS over a line.
pub(super) async fn secure<S>(
    line: S,
    road: &Road,
    trust: &Trust,
    clock: &dyn Clock,
) -> Result<TlsStream<Recorded<S>>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(road.host.clone())
        .map_err(|_| Failure::new(Kind::Tls, format!("{} is not a valid host name for a certificate", road.host)))?;
    trust.witness.forget();
    let line = Recorded { inner: line, beginning: Vec::new() };
    let connecting = TlsConnector::from(Arc::clone(&trust.config)).connect(name, line).into_fallible();
    connecting.await.map_err(|(error, line)| failed(&error, &line.beginning, road, trust, clock))
}

/// What went wrong, told by what came.
fn failed(error: &io::Error, beginning: &[u8], road: &Road, trust: &Trust, clock: &dyn Clock) -> Failure {
    let at = road.at();
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return explain::io(error, road);
    };
    if !matches!(tls, rustls::Error::InvalidMessage(_)) {
        return certificate::tls_failure(tls, &road.host, trust.seen().as_ref(), clock);
    }
    if beginning.starts_with(b"HTTP/") {
        // The rest of the head is not needed to know what it is.
        let head = [beginning, b"\r\n\r\n"].concat();
        let answer = Answer::parse(&head).ok().flatten();
        return match answer {
            Some(answer) if answer.code != 400 => http::refusal(&answer, &at, "TLS"),
            _ => Failure::new(
                Kind::Protocol,
                format!(
                    "a web server without TLS answers at {at}: check transport and port; the answer may also come \
                     from a proxy"
                ),
            ),
        };
    }
    let what = match beginning {
        [b'S', b'S', b'H', b'-', ..] => " (an SSH server answers there)",
        [0x20 | 0x30, ..] => " (an MQTT broker may answer there, without TLS)",
        _ => "",
    };
    Failure::new(
        Kind::Protocol,
        format!("{} does not speak TLS on this port{what}: check transport and port", road.host),
    )
}

/// A line whose beginning is remembered.
pub(super) struct Recorded<S> {
    inner: S,
    beginning: Vec<u8>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Recorded<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = room.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, room))?;
        let missing = BEGINNING - self.beginning.len().min(BEGINNING);
        self.beginning.extend(room.filled()[before..].iter().take(missing));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recorded<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
