//! Mounts that lie inside a volume: `/etc/app` and `/etc/app/secret`.
//!
//! In: the Pod. Out: the folders that a read-only volume must have so that other volumes can be mounted there; the
//! runtime cannot make them any more. Finding them is pure.

use std::{fs, io, path::Path};

use k8s_openapi::api::core::v1::Pod;

use crate::{container::mounts, error::Problem, path};

/// The folders inside the volume `name`, relative to it; of two nested ones only the outer.
pub(crate) fn nested_mount_points(pod: &Pod, name: &str) -> Result<Vec<String>, Problem> {
    let mut found = Vec::new();
    for mounts in mounts(pod) {
        let mut all: Vec<String> = mounts.iter().map(|mount| path::shortest(&mount.mount_path)).collect();
        all.sort_unstable();
        for mount in mounts.iter().filter(|mount| mount.name == name) {
            path::no_backsteps(&mount.mount_path).map_err(|_| {
                Problem::Invalid(format!("invalid container mount point {}", mount.mount_path))
            })?;
            let own = format!("{}/", path::shortest(&mount.mount_path));
            let mut outer: Option<String> = None;
            for inner in all.iter().filter_map(|path| path.strip_prefix(&own)) {
                if outer.as_ref().is_some_and(|outer| inner.starts_with(outer)) {
                    continue;
                }
                path::no_backsteps(inner)
                    .map_err(|_| Problem::Invalid(format!("invalid container mount point {inner}")))?;
                outer = Some(format!("{inner}/"));
                found.push(inner.to_owned());
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Makes them. What is there already stays.
pub(crate) fn make_mount_points(volume: &Path, inside: &[String]) -> io::Result<()> {
    for folder in inside {
        match fs::create_dir_all(volume.join(folder)) {
            // A file of that name will do: it is mounted over.
            Err(error) if matches!(error.kind(), io::ErrorKind::AlreadyExists) => {}
            other => other?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn nested(mounts: &[(&str, &str)]) -> Result<Vec<String>, Problem> {
        let mounts: Vec<Value> =
            mounts.iter().map(|(name, path)| json!({"name": name, "mountPath": path})).collect();
        let pod = json!({"spec": {"containers": [{"name": "c", "volumeMounts": mounts}]}});
        nested_mount_points(&serde_json::from_value(pod).unwrap(), "v")
    }

    #[test]
    fn the_outermost_mounts_inside_a_volume_are_found() {
        assert_eq!(nested(&[("v", "/a"), ("w", "/b")]).unwrap(), [""; 0]);
        assert_eq!(nested(&[("v", "/a"), ("w", "/ab")]).unwrap(), [""; 0]);
        assert_eq!(
            nested(&[("w", "/a/b/c"), ("v", "/a/"), ("x", "/a/b"), ("y", "/a/d/e")]).unwrap(),
            ["b", "d/e"]
        );
        assert_eq!(nested(&[("v", "/a"), ("v", "/c"), ("w", "/c/x")]).unwrap(), ["x"]);
    }

    #[test]
    fn a_mount_cannot_step_out_of_the_volume() {
        for path in ["/a/../../etc", "/a/.."] {
            assert!(nested(&[("v", "/a"), ("w", path)]).is_err(), "{path}");
        }
    }
}
