//! Certificates of an authority that lives for one test.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

/// An authority and the leaf that it made, in PEM.
pub(crate) struct Certificates {
    /// What clients are told to trust.
    pub(crate) ca: String,
    pub(crate) leaf: String,
    pub(crate) leaf_key: String,
}

impl Certificates {
    /// A new authority of this name, and a leaf for a server of those names and addresses.
    pub(crate) fn of(authority: &str, servers: &[&str]) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, authority);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = || KeyPair::generate().expect("random numbers");
        let authority = CertifiedIssuer::self_signed(params, key()).expect("a certificate");

        let mut params =
            CertificateParams::new(servers.iter().copied().map(str::to_owned).collect::<Vec<_>>()).expect("host names");
        params.distinguished_name.push(DnType::CommonName, "a test's broker");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf_key = key();
        let leaf = params.signed_by(&leaf_key, &authority).expect("a certificate");
        Self { ca: authority.pem(), leaf: leaf.pem(), leaf_key: leaf_key.serialize_pem() }
    }
}
