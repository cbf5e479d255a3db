//! TLS with a certificate of one's own.

use std::{path::Path, sync::Arc};

use kwaya_base::{Error, Result};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use crate::settings::Settings;

/// What speaks TLS, if the settings name a certificate.
///
/// # Errors
/// `serve-tls` when one of the two files is missing or damaged, or they do not
/// belong together.
pub(crate) fn acceptor(settings: &Settings) -> Result<Option<TlsAcceptor>> {
    let (certificate, key) = match (&settings.tls_certificate, &settings.tls_key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) => return Ok(None),
        (one, other) => {
            let path = one.as_deref().or(other.as_deref()).unwrap_or(Path::new(""));
            return Err(wrong(path, &"tls-certificate, tls-key"));
        }
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|cause| wrong(certificate, &cause))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|cause| wrong(key, &cause))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, secret))
        .map_err(|cause| wrong(certificate, &cause))?;
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

fn wrong(path: &Path, cause: &dyn std::fmt::Display) -> Error {
    Error::usage("serve-tls").path(path).arg("cause", cause)
}
