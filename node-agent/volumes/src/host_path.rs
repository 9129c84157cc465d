//! hostPath: paths of the host, checked for what the Pod expects there.
//!
//! In: the path and its type. Out: nothing, or upstream's words about what is wrong. Types that end in `OrCreate` make
//! what is not there. Deliberately absent: fsGroup, which a hostPath never gets.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt},
    path::Path,
};

use k8s_openapi::api::core::v1::HostPathVolumeSource;

use crate::{error::Problem, path};

/// Checks the path.
pub(crate) fn set_up(source: &HostPathVolumeSource) -> Result<(), Problem> {
    let named = source.path.as_str();
    path::no_backsteps(named)
        .map_err(|error| Problem::Invalid(format!("invalid HostPath `{named}`: {error}")))?;
    if !named.starts_with('/') {
        return Err(Problem::Invalid(format!("invalid HostPath `{named}`: must be an absolute path")));
    }
    let path = Path::new(named);
    match source.type_.as_deref().unwrap_or_default() {
        "" => Ok(()),
        "DirectoryOrCreate" if !path.exists() => make_folder(path),
        "DirectoryOrCreate" | "Directory" => expect(path, Found::Directory),
        "FileOrCreate" if !path.exists() => make_file(path),
        "FileOrCreate" | "File" => expect(path, Found::File),
        "Socket" => expect(path, Found::Socket),
        "CharDevice" => expect(path, Found::CharDevice),
        "BlockDevice" => expect(path, Found::BlockDevice),
        other => Err(Problem::Invalid(format!("{other} is an invalid volume type"))),
    }
}

/// What can be found at a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Directory,
    File,
    Socket,
    CharDevice,
    BlockDevice,
}

impl Found {
    fn at(path: &Path) -> io::Result<Self> {
        let kind = fs::metadata(path)?.file_type();
        match kind {
            _ if kind.is_dir() => Ok(Self::Directory),
            _ if kind.is_file() => Ok(Self::File),
            _ if kind.is_socket() => Ok(Self::Socket),
            _ if kind.is_char_device() => Ok(Self::CharDevice),
            _ if kind.is_block_device() => Ok(Self::BlockDevice),
            _ => Err(io::Error::other(
                "only recognise file, directory, socket, block device and character device",
            )),
        }
    }

    /// In the words of the sentence that says that it is not there.
    fn described(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::File => "file",
            Self::Socket => "socket file",
            Self::CharDevice => "character device",
            Self::BlockDevice => "block device",
        }
    }

    /// The API's name for it.
    fn name(self) -> &'static str {
        match self {
            Self::Directory => "Directory",
            Self::File => "File",
            Self::Socket => "Socket",
            Self::CharDevice => "CharDevice",
            Self::BlockDevice => "BlockDevice",
        }
    }
}

fn expect(path: &Path, expected: Found) -> Result<(), Problem> {
    let shown = path.display();
    let wanted = expected.described();
    if !path.exists() {
        return Err(Problem::Missing(format!("hostPath {shown} doesn't exist")));
    }
    match Found::at(path) {
        Ok(found) if found == expected => Ok(()),
        Ok(found) => Err(Problem::Missing(format!(
            "hostPath type check failed: {shown} is not a {wanted}, it's a {}",
            found.name()
        ))),
        Err(error) => Err(Problem::Missing(format!(
            "hostPath type check failed, {shown} is not a {wanted}, unable to determine its type: {error}"
        ))),
    }
}

fn make_folder(path: &Path) -> Result<(), Problem> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(path);
    made.map_err(|error| Problem::host(format!("mkdir {}", path.display()), error))
}

fn make_file(path: &Path) -> Result<(), Problem> {
    let made = fs::OpenOptions::new().append(true).create(true).mode(0o644).open(path);
    made.map(drop).map_err(|error| Problem::host(format!("open {}", path.display()), error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn check(path: &Path, kind: &str) -> Result<(), String> {
        let source =
            HostPathVolumeSource { path: path.to_str().unwrap().to_owned(), type_: Some(kind.to_owned()) };
        set_up(&source).map_err(|problem| problem.to_string())
    }

    #[test]
    fn every_type_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        let (file, socket) = (folder.path().join("f"), folder.path().join("s"));
        fs::write(&file, "").unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        for (path, kind) in [
            (folder.path(), "Directory"),
            (folder.path(), "DirectoryOrCreate"),
            (&file, "File"),
            (&file, "FileOrCreate"),
            (&socket, "Socket"),
            (Path::new("/dev/null"), "CharDevice"),
            (Path::new("/not/there"), ""),
        ] {
            assert_eq!(check(path, kind), Ok(()), "{kind}");
        }
        let shown = file.display();
        for (kind, wanted) in [
            ("Directory", "directory"),
            ("DirectoryOrCreate", "directory"),
            ("Socket", "socket file"),
            ("CharDevice", "character device"),
            ("BlockDevice", "block device"),
        ] {
            let text = format!("hostPath type check failed: {shown} is not a {wanted}, it's a File");
            assert_eq!(check(&file, kind), Err(text));
        }
        assert_eq!(
            check(Path::new("/not/there"), "File"),
            Err("hostPath /not/there doesn't exist".to_owned())
        );
        let below = file.join("x");
        let text = format!("hostPath {} doesn't exist", below.display());
        assert_eq!(check(&below, "Directory"), Err(text), "below a file there is nothing");
        assert_eq!(check(&file, "Tape"), Err("Tape is an invalid volume type".to_owned()));
    }

    #[test]
    fn what_may_be_created_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        assert_eq!(check(&path, "DirectoryOrCreate"), Ok(()));
        assert!(path.is_dir());
        assert_eq!(check(&path.join("f"), "FileOrCreate"), Ok(()));
        assert!(path.join("f").is_file());
    }

    #[test]
    fn a_path_that_steps_back_or_is_relative_is_refused_for_good() {
        for (path, text) in [
            ("/a/../b", "invalid HostPath `/a/../b`: must not contain '..'"),
            ("a", "invalid HostPath `a`: must be an absolute path"),
        ] {
            let source = HostPathVolumeSource { path: path.to_owned(), type_: None };
            let problem = set_up(&source).unwrap_err();
            assert_eq!(problem.to_string(), text);
            assert!(problem.is_permanent());
        }
    }
}
