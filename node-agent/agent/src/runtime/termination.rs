//! What a container says about its end: the file that it wrote to, or the end of its log.
//!
//! In: the runtime's status of a container that has ended. Out: the message, `""` if there is none.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use keelson_proto::cri::v1::ContainerStatus;

use super::labels::Marks;
use super::log_lines::last_lines;

/// The longest message.
const MAX_MESSAGE: u64 = 4096;

/// How much of the end of a log is read for a message.
const LOG_END: u64 = 64 * 1024;

/// The reason of a container that never ran: the runtime's own message says why.
const NEVER_RAN: [&str; 2] = ["StartError", "ContainerCannotRun"];

/// The message of a container that has ended.
pub(crate) fn message(status: &ContainerStatus, marks: &Marks) -> String {
    let written = of_file(status, marks).unwrap_or_else(|error| {
        tracing::debug!(container = status.id, %error, "a termination message cannot be read");
        String::new()
    });
    let falls_back = marks.message_policy == "FallbackToLogsOnError"
        && status.exit_code != 0
        && !NEVER_RAN.contains(&status.reason.as_str());
    let message = if written.is_empty() && falls_back { of_log(&status.log_path) } else { written };
    if message.is_empty() { status.message.clone() } else { message }
}

fn of_file(status: &ContainerStatus, marks: &Marks) -> io::Result<String> {
    let mount = status.mounts.iter().find(|mount| mount.container_path == marks.message_path);
    let Some(mount) = mount.filter(|_| !marks.message_path.is_empty()) else { return Ok(String::new()) };
    match read_end(Path::new(&mount.host_path), MAX_MESSAGE) {
        Ok((bytes, _)) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        // The pod's folder is gone already.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

fn of_log(path: &str) -> String {
    match read_end(Path::new(path), LOG_END) {
        Ok((bytes, begins_inside)) => last_lines(&bytes, begins_inside),
        Err(_) => String::new(),
    }
}

/// The last bytes of a file, and whether there are others before them.
fn read_end(path: &Path, at_most: u64) -> io::Result<(Vec<u8>, bool)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(at_most);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(at_most).read_to_end(&mut bytes)?;
    Ok((bytes, from > 0))
}

#[cfg(test)]
mod tests {
    use keelson_proto::cri::v1::Mount;

    use super::*;

    struct Case {
        _folder: tempfile::TempDir,
        status: ContainerStatus,
        marks: Marks,
    }

    fn case(file: &str, log: &str, policy: &str) -> Case {
        let folder = tempfile::tempdir().unwrap();
        let (message, log_path) = (folder.path().join("0"), folder.path().join("0.log"));
        std::fs::write(&message, file).unwrap();
        std::fs::write(&log_path, log).unwrap();
        let mount = Mount {
            container_path: "/dev/termination-log".into(),
            host_path: message.to_str().unwrap().into(),
            ..Mount::default()
        };
        let status = ContainerStatus {
            mounts: vec![mount],
            log_path: log_path.to_str().unwrap().into(),
            exit_code: 1,
            message: "runtime".into(),
            ..ContainerStatus::default()
        };
        let marks = Marks {
            message_path: "/dev/termination-log".into(),
            message_policy: policy.into(),
            ..Marks::default()
        };
        Case { _folder: folder, status, marks }
    }

    const LOG: &str = "2026-01-01T00:00:00Z stderr F from the log\n";

    #[test]
    fn the_file_comes_first_then_the_log_then_the_runtime() {
        let of = |case: &Case| message(&case.status, &case.marks);
        assert_eq!(of(&case("from the file", LOG, "FallbackToLogsOnError")), "from the file");
        assert_eq!(of(&case("", LOG, "FallbackToLogsOnError")), "from the log\n");
        assert_eq!(of(&case("", LOG, "File")), "runtime");
        let mut succeeded = case("", LOG, "FallbackToLogsOnError");
        succeeded.status.exit_code = 0;
        assert_eq!(of(&succeeded), "runtime");
        let mut never_ran = case("", LOG, "FallbackToLogsOnError");
        never_ran.status.reason = "StartError".into();
        assert_eq!(of(&never_ran), "runtime");
    }

    #[test]
    fn a_long_message_is_cut_and_a_missing_one_is_none() {
        let long = case(&"x".repeat(5000), "", "File");
        assert_eq!(message(&long.status, &long.marks).len(), 4096);
        let mut gone = case("x", "", "File");
        gone.status.mounts[0].host_path.push_str(".gone");
        assert_eq!(message(&gone.status, &gone.marks), "runtime");
    }
}
