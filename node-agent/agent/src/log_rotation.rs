//! Keeps containers' logs small.
//!
//! In: the logs of containers that run. Out: a log that has grown is moved aside and the runtime begins another; of those
//! moved aside the newest few are kept. Deliberately absent: compressing them.

use std::path::{Path, PathBuf};
use std::{fs, io};

use k8s_openapi::jiff::Timestamp;
use keelson_cri::{Runtime, RuntimeError};

/// A log that is larger is moved aside: upstream's `containerLogMaxSize`.
const MAX_BYTES: u64 = 10 << 20;

/// So many files a container's log has at most, the current one among them: upstream's `containerLogMaxFiles`.
const MAX_FILES: usize = 5;

/// A log that was not rotated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RotationError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// Rotates the log of the container `id`, if it has grown too large.
pub(crate) async fn rotate(runtime: &Runtime, id: &str, log: &Path) -> Result<(), RotationError> {
    match fs::metadata(log) {
        Ok(metadata) if metadata.len() <= MAX_BYTES => return Ok(()),
        Ok(_) => {}
        // It has not begun, or the runtime has not come back to it after the last time.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(runtime.reopen_container_log(id).await?);
        }
        Err(error) => return Err(error.into()),
    }
    remove_oldest(log)?;
    let aside = aside(log, Timestamp::now());
    fs::rename(log, &aside)?;
    if let Err(error) = runtime.reopen_container_log(id).await {
        // The container still writes into the file that was moved: it has to be found under its name.
        fs::rename(&aside, log)?;
        return Err(error.into());
    }
    Ok(())
}

/// The name of a log that is moved aside: the log's with the time.
fn aside(log: &Path, now: Timestamp) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(format!(".{}", now.strftime("%Y%m%d-%H%M%S")));
    PathBuf::from(name)
}

/// Makes room for one more beside the current log.
fn remove_oldest(log: &Path) -> io::Result<()> {
    let all = moved_aside(log)?;
    let superfluous = (all.len() + 2).saturating_sub(MAX_FILES);
    all.iter().take(superfluous).try_for_each(fs::remove_file)
}

/// The logs that were moved aside, the oldest first.
fn moved_aside(log: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(folder), Some(name)) = (log.parent(), log.file_name()) else { return Ok(Vec::new()) };
    let prefix = format!("{}.", name.to_string_lossy());
    let is_aside = |path: &PathBuf| {
        path.file_name().and_then(|it| it.to_str()).is_some_and(|it| it.starts_with(&prefix))
    };
    let mut all: Vec<PathBuf> =
        fs::read_dir(folder)?.flatten().map(|it| it.path()).filter(is_aside).collect();
    // Their names are in the order of time.
    all.sort();
    Ok(all)
}

/// Removes the log of a container that is of no use any more, with what was moved aside of it.
pub(crate) fn remove(log: &Path) -> io::Result<()> {
    let removed =
        moved_aside(log).and_then(|all| all.iter().chain([&log.to_owned()]).try_for_each(fs::remove_file));
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_logs_moved_aside_the_newest_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("0.log");
        fs::write(&log, "").unwrap();
        fs::write(folder.path().join("1.log.20260101-000000"), "").unwrap();
        for day in 1..=6 {
            fs::write(folder.path().join(format!("0.log.2026010{day}-000000")), "").unwrap();
        }
        remove_oldest(&log).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        left.sort();
        let expected = [
            "0.log",
            "0.log.20260104-000000",
            "0.log.20260105-000000",
            "0.log.20260106-000000",
            "1.log.20260101-000000",
        ];
        assert_eq!(left, expected);
    }

    #[test]
    fn a_log_is_removed_with_its_own_former_parts() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["1.log", "1.log.20260101-000000", "11.log", "2.log"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let log = folder.path().join("1.log");
        remove(&log).unwrap();
        remove(&log).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["11.log", "2.log"]);
    }

    #[test]
    fn a_log_that_is_moved_aside_has_the_time_in_its_name() {
        let at = "2026-01-02T03:04:05Z".parse().unwrap();
        assert_eq!(aside(Path::new("/l/0.log"), at), Path::new("/l/0.log.20260102-030405"));
    }

    #[tokio::test]
    async fn a_small_log_is_left_alone_and_one_that_cannot_be_reopened_keeps_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("0.log");
        let runtime = Runtime::at(Path::new("/nonexistent/containerd.sock"));
        fs::write(&log, "small").unwrap();
        rotate(&runtime, "id", &log).await.unwrap();
        fs::File::options().write(true).open(&log).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert!(matches!(rotate(&runtime, "id", &log).await, Err(RotationError::Runtime(_))));
        assert_eq!(fs::metadata(&log).unwrap().len(), MAX_BYTES + 1);
    }
}
