//! What can go wrong with the files of a PKI: each error names the file and what to do about it.

use std::path::PathBuf;

/// Why the PKI could not be brought into its wanted state.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The file does not hold what its name promises.
    #[error("{path}: {problem}. To cure it: {cure}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with its contents.
        problem: String,
        /// What the operator can do.
        cure: &'static str,
    },
    /// Something has to be signed, but the authority's private key is not here.
    #[error(
        "{key} is missing, and {needed_for} has to be signed with it. To cure it: put the key back, or have \
         the certificate made where the key is kept",
        key = key.display()
    )]
    AuthorityKeyMissing {
        /// Where the key was expected.
        key: PathBuf,
        /// The certificate that has to be issued, relative to the PKI's folder.
        needed_for: String,
    },
    /// The public half of a signing key is there, but not the key itself.
    #[error(
        "{key} is missing, but its public half is there. To cure it: put the key back. Without it remove the .pub file, \
         too, and run the command again: a new key is made, and what the old one signed is no longer believed",
        key = key.display()
    )]
    SigningKeyMissing {
        /// Where the key was expected.
        key: PathBuf,
    },
    /// The authority's certificate is no longer valid, hence nothing that it signed is.
    #[error(
        "{path}: this authority expired at {expired_at}. To cure it: stop the cluster, remove this file and \
         run the command again (its key is kept, so certificates that it signed stay valid), then give the new \
         file to every client",
        path = path.display()
    )]
    AuthorityExpired {
        /// The authority's certificate.
        path: PathBuf,
        /// The end of its validity.
        expired_at: time::OffsetDateTime,
    },
    /// A file or folder could not be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file or folder could not be written, protected or locked. What was written before it stays valid.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The certificate could not be made.
    #[error("cannot make a certificate for {name}: {source}")]
    Issue {
        /// The identity's path relative to the PKI's folder, without extension.
        name: String,
        /// What the certificate library said.
        source: rcgen::Error,
    },
}
