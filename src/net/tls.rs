//! TLS as gatepost does it: the certificate chain and the host name are always verified.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use crate::net::failure::{Failure, Kind};

/// A client configuration that trusts the roots in `ca_file`, or else the system's, or else (an image without
/// ca-certificates) Mozilla's as of this build.
pub(crate) fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, Failure> {
    let (roots, _) = roots(ca_file)?;
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The roots that count, and in words whose they are.
pub(crate) fn roots(ca_file: Option<&Path>) -> Result<(RootCertStore, String), Failure> {
    match ca_file {
        Some(path) => Ok((roots_of(path)?, format!("the roots in {}", path.display()))),
        None => Ok(system_roots()),
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
        return (roots, "Mozilla's roots as of this program's build, for this system has none".to_owned());
    }
    (roots, format!("this system's {good} roots"))
}
