//! A throw-away certificate authority, so that clients of the sandbox verify TLS as they do against the real service.

use std::fmt;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use tokio_rustls::rustls;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A certificate authority that lives in memory. Its certificates hold from 1975 to 4096, so that a machine without a
/// clock can verify them.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    key_pem: String,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A name is neither a host name nor an address, or there are no random numbers.
    #[error("no certificate could be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The certificate was made and TLS does not take it.
    #[error("TLS does not take the certificate: {0}")]
    Tls(#[from] rustls::Error),
}

impl Authority {
    /// An authority with a new key.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn new() -> Result<Self, AuthorityError> {
        Self::with_key(KeyPair::generate()?)
    }

    /// The authority whose key this is. Its certificate is made anew; clients that trust the older one trust this one too, for it
    /// has the same name and the same key.
    ///
    /// # Errors
    /// When the text is no key.
    pub fn restore(key_pem: &str) -> Result<Self, AuthorityError> {
        Self::with_key(KeyPair::from_pem(key_pem)?)
    }

    fn with_key(key: KeyPair) -> Result<Self, AuthorityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "ThingSpeak sandbox CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key_pem = key.serialize_pem();
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, key)?, key_pem })
    }

    /// Its key in PEM: whoever has it can impersonate the sandbox.
    pub(super) fn key_pem(&self) -> String {
        self.key_pem.clone()
    }

    /// Its certificate in PEM: what clients are told to trust.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// TLS for a server of these names and addresses, with a new leaf.
    ///
    /// # Errors
    /// A name that no certificate can hold.
    pub fn server_config(&self, names: &[String]) -> Result<Arc<ServerConfig>, AuthorityError> {
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "ThingSpeak sandbox");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &self.issuer)?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))?;
        Ok(Arc::new(config))
    }
}

impl fmt::Debug for Authority {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}
