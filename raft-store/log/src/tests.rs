//! What crashes and damage do to a log's files.

mod crashes;
mod damage;
mod segments;

use std::{
    fs,
    path::{Path, PathBuf},
};

use keelson_store_core::engine::{Batch, Family, Read};

use super::*;

/// So short that a test's little data fills several.
const SMALL: LogOptions = LogOptions { segment_bytes: 4 << 10 };

/// Copies go beside the log.
struct Beside(PathBuf);

impl Home for Beside {
    fn add_checkpoint(
        &self,
        name: &str,
        make: &mut dyn FnMut(&Path) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let dir = self.0.join(name);
        fs::create_dir(&dir).unwrap();
        make(&dir)
    }
}

fn open_in(dir: &Path) -> Result<Arc<dyn Engine>, EngineError> {
    open(dir, SMALL, Arc::new(Beside(dir.to_owned())))
}

fn new_in(dir: &Path) -> Arc<dyn Engine> {
    create(dir, SMALL).unwrap();
    open_in(dir).unwrap()
}

fn put(engine: &dyn Engine, family: Family, key: &str, value: &str) {
    let mut batch = Batch::default();
    batch.put(family, key.to_owned(), value.to_owned());
    engine.write(batch).unwrap();
}

fn key(number: usize) -> String {
    format!("{number:05}")
}

/// The keys of a family, in order.
fn keys(reader: &dyn Read, family: Family) -> Vec<String> {
    let mut cursor = reader.cursor(family);
    cursor.seek(b"").unwrap();
    let mut found = Vec::new();
    while let Some((key, _)) = cursor.entry() {
        found.push(String::from_utf8(key.to_vec()).unwrap());
        cursor.next().unwrap();
    }
    found
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let numbers = segment::Segment::list(dir).unwrap();
    numbers.into_iter().map(|number| dir.join(segment::file_name(number))).collect()
}
