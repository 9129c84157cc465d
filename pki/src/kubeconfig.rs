//! Kubeconfig files: what kubectl and every other client of the API reads.
//!
//! In: a row of the inventory, and the files of its identity and authority. Out: the file's text, with all of them
//! embedded, so that it can be carried elsewhere.
//!
//! Deliberately absent: a YAML parser. Whether a file is current is told by the values in it, each of which is one
//! line, however `kubectl config` has rearranged them.

use std::path::Path;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::error::PkiError;
use crate::file;
use crate::identity::{Kubeconfig, certificate_path, key_path};

/// The name of the cluster and of the context that leads to it.
const CLUSTER: &str = "keelson";

/// What a kubeconfig file embeds, in base64.
#[derive(Debug)]
pub(crate) struct Credentials {
    authority: String,
    certificate: String,
    key: String,
}

impl Credentials {
    /// Reads the files of the identity and of the authority; `None` if one is absent.
    pub(crate) fn read(dir: &Path, kubeconfig: &Kubeconfig) -> Result<Option<Self>, PkiError> {
        let encoded = |path: &Path| {
            let text = file::read_text(path)?;
            Ok::<_, PkiError>(text.map(|text| BASE64_STANDARD.encode(text)))
        };
        let authority = encoded(&certificate_path(dir, kubeconfig.authority.stem()))?;
        let certificate = encoded(&certificate_path(dir, &kubeconfig.identity))?;
        let key = encoded(&key_path(dir, &kubeconfig.identity))?;
        let all = authority.zip(certificate).zip(key);
        Ok(all.map(|((authority, certificate), key)| Self { authority, certificate, key }))
    }

    /// Whether a kubeconfig file holds them, and the URL.
    pub(crate) fn are_in(&self, text: &str, kubeconfig: &Kubeconfig) -> bool {
        let url = kubeconfig.server.to_string();
        let wanted = [
            ("server", &url),
            ("certificate-authority-data", &self.authority),
            ("client-certificate-data", &self.certificate),
            ("client-key-data", &self.key),
        ];
        let holds = |(field, value): (&str, &String)| {
            let is_it = |line: &str| {
                let line = line.trim_start_matches(['-', ' ']);
                line.split_once(": ").is_some_and(|(name, text)| name == field && text.trim() == value)
            };
            text.lines().any(is_it)
        };
        wanted.into_iter().all(holds)
    }

    /// The text of a new file.
    pub(crate) fn render(&self, kubeconfig: &Kubeconfig) -> String {
        let Self { authority, certificate, key } = self;
        let Kubeconfig { user, server, .. } = kubeconfig;
        // A user's name has colons in it; in double quotes they mean nothing to YAML.
        format!(
            "apiVersion: v1
kind: Config
clusters:
- name: {CLUSTER}
  cluster:
    server: {server}
    certificate-authority-data: {authority}
users:
- name: \"{user}\"
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: {CLUSTER}
  context:
    cluster: {CLUSTER}
    user: \"{user}\"
current-context: {CLUSTER}
"
        )
    }
}
