//! Files of one volume that would lie at the same path, or one within the other.

use std::fmt;

use serde_json::Value;

use crate::place::Place;

/// A path in a volume, and what brings it there; empty where that goes without saying.
#[derive(Clone, Debug)]
struct File {
    path: String,
    source: String,
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.path)?;
        if self.source.is_empty() { Ok(()) } else { write!(f, " ({})", self.source) }
    }
}

impl File {
    fn overlaps(&self, other: &File) -> bool {
        let [one, another] = [self, other].map(|file| format!("{}/", file.path));
        let both = !self.path.is_empty() && !other.path.is_empty();
        both && (one.starts_with(&another) || another.starts_with(&one))
    }
}

/// Warns of a volume's files that are in each other's way.
pub(super) fn paths(volume: &Place<'_>, warnings: &mut Vec<String>) {
    let name = volume.child("name").text();
    let (map, secret, pod) = (volume.child("configMap"), volume.child("secret"), volume.child("downwardAPI"));
    let shown = |kind: &str, name: Place<'_>| format!("{kind} {:?}", name.text());
    overlaps(name, &shown("ConfigMap", map.child("name")), &items(&map, ""), warnings);
    overlaps(name, &shown("Secret", secret.child("secretName")), &items(&secret, ""), warnings);
    overlaps(name, "DownwardAPI", &items(&pod, ""), warnings);
    let mut files = Vec::new();
    for source in volume.child("projected").child("sources").items() {
        let fields = source.value().and_then(Value::as_object);
        if fields.is_none_or(|fields| fields.values().all(Value::is_null)) {
            warnings.push(format!("volume {name:?} (Projected) has no sources provided"));
        }
        files.extend(projected(&source));
    }
    overlaps(name, "Projected", &files, warnings);
}

fn overlaps(volume: &str, kind: &str, files: &[File], warnings: &mut Vec<String>) {
    for (at, file) in files.iter().enumerate() {
        for earlier in files[..at].iter().filter(|earlier| file.overlaps(earlier)) {
            warnings.push(format!("volume {volume:?} ({kind}): overlapping paths: {file} with {earlier}"));
        }
    }
}

/// The files of a source that lists them.
fn items(source: &Place<'_>, shown: &str) -> Vec<File> {
    let listed = source.child("items");
    listed.items().map(|item| file(&item.child("path"), shown)).collect()
}

fn file(path: &Place<'_>, source: &str) -> File {
    File { path: path.text().trim_end_matches('/').to_owned(), source: source.to_owned() }
}

/// The files of one source of several. Upstream looks at the first kind that is set.
fn projected(source: &Place<'_>) -> Vec<File> {
    let of = |field: &str| source.child(field);
    let named = |kind: &str, name: &Place<'_>| format!("{kind} {:?}", name.text());
    for (field, kind) in [("configMap", "ConfigMap"), ("secret", "Secret")] {
        if of(field).child("items").is_set() {
            return items(&of(field), &named(kind, &of(field).child("name")));
        }
    }
    let (token, bundle) = (of("serviceAccountToken"), of("clusterTrustBundle"));
    if of("downwardAPI").child("items").is_set() {
        items(&of("downwardAPI"), "DownwardAPI")
    } else if token.is_set() {
        vec![file(&token.child("path"), "ServiceAccountToken")]
    } else if bundle.is_set() {
        let name = if bundle.child("name").is_set() { "name" } else { "signerName" };
        vec![file(&bundle.child("path"), &named("ClusterTrustBundle", &bundle.child(name)))]
    } else {
        certificate(&of("podCertificate"))
    }
}

fn certificate(source: &Place<'_>) -> Vec<File> {
    let parts = [
        ("certificateChainPath", "PodCertificate chain"),
        ("keyPath", "PodCertificate key"),
        ("credentialBundlePath", "PodCertificate credential bundle"),
    ];
    let set = parts.map(|(field, shown)| file(&source.child(field), shown));
    set.into_iter().filter(|file| !file.path.is_empty()).collect()
}
