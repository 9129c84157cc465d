//! Certificates and keys out of PEM files, with errors that name the file.

use std::{fmt::Display, io, path::Path, sync::Arc};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// All certificates of a file; at least one.
pub(crate) fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_file_iter(path).map_err(|error| in_file(path, error))?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(|error| in_file(path, error))?;
    if found.is_empty() {
        return Err(in_file(path, "it holds no certificate in PEM form"));
    }
    Ok(found)
}

/// The private key of a file.
pub(crate) fn private_key(path: &Path) -> io::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| in_file(path, error))
}

/// The authorities of a file.
pub(crate) fn roots(path: &Path) -> io::Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| in_file(path, error))?;
    }
    Ok(Arc::new(roots))
}

/// An error of what a file holds.
pub(crate) fn in_file(path: &Path, error: impl Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}
