//! What can go wrong, in upstream's words.
//!
//! Every error says whether trying again can help. That an object could not be asked for is never reported as that
//! it is not there.

use std::{fmt, io};

/// Why an object could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Nobody knows: the API was not reached, or a cache has not been filled yet. Try again.
    #[error("{0}")]
    Unavailable(String),
    /// The API said no.
    #[error("{0}")]
    Refused(String),
}

/// Why a volume is not there.
#[derive(Debug)]
pub enum Problem {
    /// An object or a key does not exist, or a path of the host is not what it should be. Somebody may mend that.
    Missing(String),
    /// An object could not be had.
    Source(SourceError),
    /// The Pod asks for what cannot be; it will never succeed.
    Invalid(String),
    /// The Pod asks for what this node does not do; it will never succeed.
    Unsupported(String),
    /// The host failed.
    Host {
        /// What was being done: `creating /var/lib/…`.
        doing: String,
        /// How it failed.
        error: io::Error,
    },
    /// Several sources of one projected volume failed.
    Several(Vec<Problem>),
}

impl Problem {
    /// A failure of the host while `doing`.
    pub(crate) fn host(doing: impl Into<String>, error: impl Into<io::Error>) -> Self {
        Self::Host { doing: doing.into(), error: error.into() }
    }

    /// One problem of many, if there are any.
    pub(crate) fn aggregate(mut problems: Vec<Self>) -> Option<Self> {
        match problems.len() {
            0 => None,
            1 => problems.pop(),
            _ => Some(Self::Several(problems)),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(text) | Self::Invalid(text) | Self::Unsupported(text) => f.write_str(text),
            Self::Source(error) => error.fmt(f),
            Self::Host { doing, error } => write!(f, "{doing}: {error}"),
            Self::Several(problems) => {
                let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", texts.join(", "))
            }
        }
    }
}

/// A volume that could not be set up or refreshed. Its text is the message of upstream's event.
#[derive(Debug, thiserror::Error)]
#[error("MountVolume.SetUp failed for volume {volume:?} : {problem}")]
pub struct VolumeError {
    /// The volume's name.
    pub volume: String,
    /// What is wrong.
    pub problem: Problem,
}

impl VolumeError {
    /// The reason of upstream's event, a warning about the Pod.
    pub const REASON: &'static str = "FailedMount";

    pub(crate) fn new(volume: &str, problem: Problem) -> Self {
        Self { volume: volume.to_owned(), problem }
    }
}

/// All volumes of a Pod that could not be set up; the others have been. Each makes an event of its own.
#[derive(Debug)]
pub struct VolumeErrors(pub Vec<VolumeError>);

impl fmt::Display for VolumeErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join("; "))
    }
}

impl std::error::Error for VolumeErrors {}

/// Why a container has no environment. Its text is the message that goes with the waiting reason
/// `CreateContainerConfigError`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// An object or a key does not exist. Somebody may create it.
    #[error("{0}")]
    Missing(String),
    /// An object could not be had: nobody knows whether it exists.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The container asks for what cannot be.
    #[error("{0}")]
    Invalid(String),
}

/// Why a container has no mounts. Its text is the message that goes with the waiting reason
/// `CreateContainerConfigError`; the host's own words go to the log only, because they could tell a user about
/// the host's files.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The container asks for what cannot be.
    #[error("{0}")]
    Invalid(String),
    /// The host failed; trying again may help.
    #[error("{text}")]
    Host {
        /// What the user may know.
        text: String,
        /// How it failed.
        #[source]
        error: io::Error,
    },
}

/// Why a Pod's folder is still there. Trying again may help.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {error}")]
pub struct TearDownError {
    /// What was being done: `unmounting /var/lib/…`.
    pub doing: String,
    /// How it failed.
    #[source]
    pub error: io::Error,
}

impl TearDownError {
    pub(crate) fn new(doing: impl Into<String>, error: impl Into<io::Error>) -> Self {
        Self { doing: doing.into(), error: error.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_volume_error_is_that_of_upstreams_event() {
        let error = VolumeError::new("conf", Problem::Missing("configmap \"y\" not found".into()));
        assert_eq!(
            error.to_string(),
            r#"MountVolume.SetUp failed for volume "conf" : configmap "y" not found"#
        );
        assert!(!error.problem.is_permanent());
    }

    #[test]
    fn several_problems_are_written_as_a_list_and_one_as_itself() {
        let problem = |text: &str| Problem::Missing(text.into());
        assert!(Problem::aggregate(vec![]).is_none());
        assert_eq!(Problem::aggregate(vec![problem("a")]).map(|it| it.to_string()), Some("a".into()));
        let both = Problem::aggregate(vec![problem("a"), Problem::Invalid("b".into())]).unwrap();
        assert_eq!(both.to_string(), "[a, b]");
        assert!(both.is_permanent(), "what cannot be stays so, whatever else is missing");
    }
}
