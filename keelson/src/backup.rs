//! The two flags of a continuous backup, checked against each other.

use std::path::PathBuf;

use keelson_store::export::BackupOptions;

use crate::span::Span;

/// A retention of nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--backup-retention is given, but no --backup-dir: give a folder to write to, or leave it out")]
pub(crate) struct RetentionWithoutBackup;

/// What `--backup-dir` and `--backup-retention` say together.
pub(crate) fn options(
    folder: Option<PathBuf>,
    retention: Option<Span>,
) -> Result<Option<BackupOptions>, RetentionWithoutBackup> {
    match folder {
        None if retention.is_some() => Err(RetentionWithoutBackup),
        None => Ok(None),
        Some(folder) => Ok(Some(BackupOptions { folder, keep: retention.map(Span::get) })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_needs_a_folder() {
        let (folder, day) = (PathBuf::from("/b"), "24h".parse::<Span>().unwrap());
        assert_eq!(options(None, Some(day)), Err(RetentionWithoutBackup));
        assert_eq!(options(None, None), Ok(None));
        let keep = options(Some(folder.clone()), Some(day)).unwrap().unwrap().keep;
        assert_eq!(keep, Some(day.get()));
        assert_eq!(options(Some(folder.clone()), None), Ok(Some(BackupOptions { folder, keep: None })));
    }
}
