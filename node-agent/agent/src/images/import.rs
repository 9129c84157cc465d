//! Images from archives in a folder: how a node without a registry gets them.
//!
//! In: a folder, looked at when the agent starts. Out: its images in the runtime, by containerd's own `ctr`. An archive
//! that was imported, has not changed, and whose images are there is left alone; a file below the agent's root
//! remembers that. One that cannot be imported is told of in the log and holds nobody up.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fs, io};

use keelson_cri::Runtime;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::archive;

/// The folder below the agent's root that remembers what was imported.
const MEMORY: &str = "imported-images";

/// How long one archive may take: as long as it does, no container of the node is started.
const LONGEST_IMPORT: Duration = Duration::from_secs(600);

/// Pause before a runtime that does not answer is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// Where images come from and go to.
pub(crate) struct Import<'a> {
    pub(crate) runtime: &'a Runtime,
    /// The folder with archives.
    pub(crate) folder: &'a Path,
    /// The agent's root.
    pub(crate) root: &'a Path,
}

/// An archive that was not imported.
#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("ctr: {0}")]
    Refused(String),
    #[error("ctr has not ended within {} s", LONGEST_IMPORT.as_secs())]
    TooLong,
}

impl Import<'_> {
    /// Imports what is not there yet; waits for the runtime first.
    pub(crate) async fn run(&self) {
        while let Err(error) = self.runtime.version().await {
            tracing::debug!(%error, "images are imported when the container runtime answers");
            sleep(PAUSE).await;
        }
        for archive in self.archives() {
            match self.import(&archive).await {
                Ok(true) => tracing::info!(archive = %archive.display(), "imported images"),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(archive = %archive.display(), %error, "cannot import the images of this archive");
                }
            }
        }
    }

    fn archives(&self) -> Vec<PathBuf> {
        let entries = match fs::read_dir(self.folder) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(folder = %self.folder.display(), %error, "no images can be imported");
                return Vec::new();
            }
        };
        let is_archive = |path: &PathBuf| {
            let is_hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
            path.is_file() && !is_hidden
        };
        let mut archives: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.path()).filter(is_archive).collect();
        archives.sort();
        archives
    }

    /// Whether there was something to import.
    async fn import(&self, archive: &Path) -> Result<bool, ImportError> {
        let state = state(archive)?;
        let marker = self.root.join(MEMORY).join(archive.file_name().unwrap_or_default());
        if fs::read_to_string(&marker).is_ok_and(|known| known == state)
            && self.has_images_of(archive).await?
        {
            return Ok(false);
        }
        let socket = self.runtime.endpoint();
        let importing = Command::new("ctr")
            .args(["--address", socket, "--namespace", "k8s.io", "images", "import"])
            .arg(archive)
            .kill_on_drop(true)
            .output();
        let output = timeout(LONGEST_IMPORT, importing).await.map_err(|_| ImportError::TooLong)??;
        if !output.status.success() {
            return Err(ImportError::Refused(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        fs::create_dir_all(self.root.join(MEMORY))?;
        fs::write(&marker, state)?;
        Ok(true)
    }

    async fn has_images_of(&self, archive: &Path) -> Result<bool, ImportError> {
        for name in archive::names(fs::File::open(archive)?)? {
            match self.runtime.image_status(&name).await {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(false),
                // Importing twice does no harm.
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }
}

/// What tells whether an archive has changed: its size and when it was written.
fn state(archive: &Path) -> io::Result<String> {
    let metadata = fs::metadata(archive)?;
    let written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let nanoseconds = written.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    Ok(format!("{} {nanoseconds}\n", metadata.len()))
}
