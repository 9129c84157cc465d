//! Upstream's golden objects: every field of every kind set. They are not part of this repository; the folder's path
//! comes in `KEELSON_GOLDEN_OBJECTS`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Document, Encoding, TypeId, builtin, encode, encode_protobuf};

/// The golden files with an ending whose type the schema has.
fn files(ending: &str) -> Vec<(PathBuf, TypeId)> {
    let Some(folder) = std::env::var_os("KEELSON_GOLDEN_OBJECTS") else {
        println!("skipped: KEELSON_GOLDEN_OBJECTS is not set");
        return Vec::new();
    };
    let entries = fs::read_dir(Path::new(&folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<(PathBuf, TypeId)> = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == ending))
        .filter_map(|path| golden_type(&path).map(|ty| (path, ty)))
        .collect();
    files.sort();
    assert!(files.len() > 80, "only {} golden files are of a known type", files.len());
    files
}

/// `apps.v1.Deployment.json` holds an `apps/v1` `Deployment`.
fn golden_type(path: &Path) -> Option<TypeId> {
    let stem = path.file_stem()?.to_str()?;
    let (rest, kind) = stem.rsplit_once('.')?;
    let (group, version) = rest.rsplit_once('.')?;
    let group = if group == "core" { "" } else { group };
    // Kinds that every group has lie under the core group's name.
    builtin()
        .lookup_kind(group, version, kind)
        .or_else(|| builtin().lookup_kind("meta.k8s.io", version, kind))
}

/// JSON without space outside of strings.
fn compact(text: &str) -> String {
    let mut out = String::new();
    let mut in_string = false;
    let mut escaped = false;
    for c in text.chars() {
        if in_string || !c.is_whitespace() {
            out.push(c);
        }
        in_string ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
    }
    out
}

#[test]
fn json_comes_back_byte_by_byte() {
    for (path, ty) in files("json") {
        let text = fs::read_to_string(&path).unwrap();
        let document = Document::parse(text.as_bytes(), Encoding::Json).unwrap();
        let decoded =
            document.decode(builtin(), ty).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(decoded.violations, [], "{}", path.display());
        let encoded = String::from_utf8(encode(builtin(), ty, &decoded.value)).unwrap();
        assert_eq!(encoded, compact(&text), "{}", path.display());
    }
}

#[test]
fn yaml_means_the_same_as_json() {
    for (path, ty) in files("yaml") {
        let read = |path: &Path, encoding| {
            let text = fs::read(path).unwrap();
            Document::parse(&text, encoding).unwrap().decode(builtin(), ty).unwrap()
        };
        let yaml = read(&path, Encoding::Yaml);
        assert_eq!(yaml, read(&path.with_extension("json"), Encoding::Json), "{}", path.display());
    }
}

#[test]
fn protobuf_means_the_same_as_json() {
    for (path, ty) in files("pb") {
        let read = |path: &Path, encoding| {
            let bytes = fs::read(path).unwrap();
            let document = Document::parse(&bytes, encoding).unwrap();
            let meta = document.type_meta().unwrap();
            let decoded = document.decode(builtin(), ty);
            (meta, decoded.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        };
        let protobuf = read(&path, Encoding::Protobuf);
        assert_eq!(protobuf, read(&path.with_extension("json"), Encoding::Json), "{}", path.display());
    }
}

#[test]
fn protobuf_is_written_byte_by_byte() {
    for (path, ty) in files("pb") {
        let bytes = fs::read(&path).unwrap();
        let decoded = Document::parse(&bytes, Encoding::Protobuf).unwrap().decode(builtin(), ty).unwrap();
        let written = encode_protobuf(builtin(), ty, &decoded.value);
        let at = written.iter().zip(&bytes).position(|(left, right)| left != right);
        assert!(written == bytes, "{} differs from byte {at:?} on", path.display());
    }
}

#[test]
fn a_decoded_value_decodes_to_itself() {
    for (path, ty) in files("json") {
        let text = fs::read(&path).unwrap();
        let once = Document::parse(&text, Encoding::Json).unwrap().decode(builtin(), ty).unwrap();
        let twice = crate::decode_value(builtin(), ty, once.value.clone()).unwrap();
        assert_eq!(once, twice, "{}", path.display());
    }
}
