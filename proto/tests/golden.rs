//! Holds the peer protocol to what is already out there: `golden/` has one framed message per file, in hex.
//!
//! What was written once must decode for ever (to the message of the same name here), and what is encoded
//! today must be what older replicas know. A failure means that a number, a type or the framing changed: that
//! breaks rolling upgrades. For a new message or field, `KEELSON_UPDATE_GOLDEN=1` writes the files anew; the
//! diff of the old ones then shows whether anything but the new field moved.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use bytes::BytesMut;
use keelson_proto::frame::Codec;

mod samples;

#[test]
fn every_message_is_encoded_as_ever() {
    for (name, frame) in samples::all() {
        let mut encoded = BytesMut::new();
        Codec::default().encode(&frame, &mut encoded).unwrap();
        if updating() {
            fs::write(golden_path(name), to_hex(&encoded)).unwrap();
        }
        assert_eq!(to_hex(&encoded), read_golden(name), "the encoding of {name} has changed");
    }
}

#[test]
fn every_old_encoding_is_still_understood() {
    for (name, frame) in samples::all() {
        let mut old = BytesMut::from(from_hex(&read_golden(name)).as_slice());
        let decoded = Codec::default().decode(&mut old).unwrap();
        assert_eq!(decoded, Some(frame), "{name} means something else now");
        assert!(old.is_empty(), "{name} has bytes behind the frame");
    }
}

#[test]
fn each_file_has_its_sample() {
    let samples: BTreeSet<PathBuf> = samples::all().iter().map(|(name, _)| golden_path(name)).collect();
    let files: BTreeSet<PathBuf> =
        fs::read_dir(golden_dir()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files, samples);
}

#[test]
fn no_two_samples_share_a_file() {
    let samples = samples::all();
    let names: BTreeSet<&str> = samples.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), samples.len());
}

fn updating() -> bool {
    std::env::var_os("KEELSON_UPDATE_GOLDEN").is_some()
}

/// Tests run in their crate's folder. The path is not compiled in: a kept binary serves another checkout, too.
fn golden_dir() -> PathBuf {
    PathBuf::from("tests/golden")
}

fn golden_path(name: &str) -> PathBuf {
    golden_dir().join(format!("{name}.hex"))
}

fn read_golden(name: &str) -> String {
    let path = golden_path(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// 32 bytes per line, so that a diff points at the place.
fn to_hex(bytes: &[u8]) -> String {
    let line = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    bytes.chunks(32).map(line).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).expect("two hex digits")).collect()
}
