//! The server's certificates and keys, read once when it starts.
//!
//! In: where they lie. Out: their text, or an error that names the file and how it is made.

use std::fs;
use std::path::Path;

use super::options::Files;

/// What the files hold, in PEM.
pub(super) struct Pem {
    pub(super) serving_certificate: String,
    pub(super) serving_key: String,
    pub(super) client_authority: String,
    pub(super) service_account_key: String,
    /// Empty where there are no earlier keys.
    pub(super) service_account_earlier_keys: String,
    pub(super) server_authority: String,
    pub(super) kubelet_client_certificate: String,
    pub(super) kubelet_client_key: String,
    pub(super) node_authority: String,
}

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}: {source}. To make it: keelson pki init --dir DIR --server {name}=HOST", path = path.display())]
pub(super) struct Unreadable {
    path: std::path::PathBuf,
    name: String,
    source: std::io::Error,
}

impl Pem {
    /// Reads all of them. `name` is the server's, for the errors.
    pub(super) fn read(files: &Files, name: &str) -> Result<Self, Unreadable> {
        let read = |path: &Path| {
            let failed = |source| Unreadable { path: path.to_owned(), name: name.to_owned(), source };
            fs::read_to_string(path).map_err(failed)
        };
        let earlier = files.service_account_earlier_keys.as_deref();
        Ok(Self {
            serving_certificate: read(&files.serving_certificate)?,
            serving_key: read(&files.serving_key)?,
            client_authority: read(&files.client_authority)?,
            service_account_key: read(&files.service_account_key)?,
            service_account_earlier_keys: earlier.map(read).transpose()?.unwrap_or_default(),
            server_authority: read(&files.server_authority)?,
            kubelet_client_certificate: read(&files.kubelet_client_certificate)?,
            kubelet_client_key: read(&files.kubelet_client_key)?,
            node_authority: read(&files.node_authority)?,
        })
    }
}
