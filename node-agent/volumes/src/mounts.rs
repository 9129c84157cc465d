//! What of a Pod's volumes and files a container sees, and where.
//!
//! In: the container, the Pod's volumes as [`crate::PodVolumes::set_up`] has left them, the container's environment. Out:
//! mounts for the runtime. On the way: subPaths are bound, the Pod's `/etc/hosts` and the file for the termination
//! message are written. Deliberately absent: devices, SELinux labels, user namespaces.

use std::{
    fs, io,
    net::IpAddr,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::{Container, Pod, VolumeMount};
use keelson_proto::cri::v1::{KeyValue, Mount, MountPropagation};

use crate::{
    error::MountError,
    expand::expand_path,
    folders::{PodFolders, one_part},
    hostname::HostName,
    hosts::{hosts_file, hosts_file_of_node},
    path::no_backsteps,
    subpath::{self, Outward},
    volume::{self, Place, Source},
};

/// Where containers look for host names.
const ETC_HOSTS: &str = "/etc/hosts";

/// What the mounts of a container are made of.
#[derive(Clone, Copy, Debug)]
pub struct MountRequest<'a> {
    /// The Pod.
    pub pod: &'a Pod,
    /// One of its containers.
    pub container: &'a Container,
    /// The Pod's folders.
    pub folders: &'a PodFolders,
    /// The Pod's addresses. Without any, and with a network of its own, it gets no `/etc/hosts`.
    pub pod_addresses: &'a [IpAddr],
    /// The Pod's name.
    pub name: &'a HostName,
    /// The container's environment, for `subPathExpr`.
    pub environment: &'a [KeyValue],
    /// Which instance of the container it is, from 0.
    pub attempt: u32,
    /// Whether the runtime can make mounts read-only all the way down.
    pub recursive_read_only: bool,
    /// The host's own `/etc/hosts`, for Pods on its network.
    pub hosts_of_node: &'a Path,
}

/// The mounts of a container that is about to be created. Touches the disk in small steps, and never waits.
///
/// # Errors
///
/// If the container asks for what cannot be, or the host fails. The container waits with reason
/// `CreateContainerConfigError` and the error's text.
pub fn mounts(request: &MountRequest<'_>) -> Result<Vec<Mount>, MountError> {
    let container = request.container;
    one_part("container", &container.name).map_err(|error| MountError::Invalid(error.to_string()))?;
    let own = container.volume_mounts.as_deref().unwrap_or_default();
    let mut mounts = Vec::with_capacity(own.len() + 2);
    for (index, mount) in own.iter().enumerate() {
        mounts.push(of_volume(request, index, mount)?);
    }
    if !own.iter().any(|mount| mount.mount_path == ETC_HOSTS) {
        mounts.extend(etc_hosts(request)?);
    }
    mounts.extend(termination_log(request)?);
    Ok(mounts)
}

fn of_volume(request: &MountRequest<'_>, index: usize, mount: &VolumeMount) -> Result<Mount, MountError> {
    let container = &request.container.name;
    let missing = || {
        MountError::Invalid(format!(
            "cannot find volume {:?} to mount into container {container:?}",
            mount.name
        ))
    };
    let volume = volume::named(request.pod, &mount.name).ok_or_else(missing)?;
    let source = Source::of(volume).map_err(|problem| MountError::Invalid(problem.to_string()))?;
    let location = source.location(request.folders, &volume.name);
    if matches!(source.place(), Place::Pod(_)) && !location.is_dir() {
        let text = missing().to_string();
        return Err(MountError::Host { text, error: io::ErrorKind::NotFound.into() });
    }
    let propagation = propagation(mount)?;
    let host_path = match sub_path(mount, request.environment)? {
        Some(inside) => bind_part(request, index, mount, &location, &inside, propagation)?,
        None => location,
    };
    Ok(Mount {
        container_path: absolute(&mount.mount_path),
        host_path: host_path.to_string_lossy().into_owned(),
        readonly: mount.read_only == Some(true) || source.is_read_only(),
        recursive_read_only: recursive_read_only(mount, request.recursive_read_only)?,
        propagation: propagation.into(),
        ..Mount::default()
    })
}

/// The part of the volume that is asked for, if not all of it.
fn sub_path(mount: &VolumeMount, environment: &[KeyValue]) -> Result<Option<String>, MountError> {
    let asked = |field: &Option<String>| field.clone().filter(|path| !path.is_empty());
    let inside = match asked(&mount.sub_path_expr) {
        Some(expression) => Some(expand_path(&expression, environment).map_err(MountError::Invalid)?),
        None => asked(&mount.sub_path),
    };
    let Some(inside) = inside.filter(|path| !path.is_empty()) else { return Ok(None) };
    if inside.starts_with('/') {
        return Err(MountError::Invalid(format!("error SubPath `{inside}` must not be an absolute path")));
    }
    no_backsteps(&inside)
        .map_err(|error| MountError::Invalid(format!("unable to provision SubPath `{inside}`: {error}")))?;
    Ok(Some(inside))
}

fn bind_part(
    request: &MountRequest<'_>,
    index: usize,
    mount: &VolumeMount,
    location: &Path,
    inside: &str,
    propagation: MountPropagation,
) -> Result<PathBuf, MountError> {
    let container = &request.container.name;
    let outward = match propagation {
        MountPropagation::PropagationBidirectional => Outward::Seen,
        MountPropagation::PropagationPrivate | MountPropagation::PropagationHostToContainer => {
            Outward::Hidden
        }
    };
    let target = request.folders.subpath(&mount.name, container, index);
    match subpath::bind(location, inside, &target, outward) {
        Ok(()) => Ok(target),
        Err(error) => {
            tracing::warn!(container, volume = mount.name, inside, %error, "a subPath could not be prepared");
            let name = &mount.name;
            let text =
                format!("failed to prepare subPath for volumeMount {name:?} of container {container:?}");
            Err(MountError::Host { text, error })
        }
    }
}

fn propagation(mount: &VolumeMount) -> Result<MountPropagation, MountError> {
    match mount.mount_propagation.as_deref() {
        None | Some("None") => Ok(MountPropagation::PropagationPrivate),
        Some("HostToContainer") => Ok(MountPropagation::PropagationHostToContainer),
        Some("Bidirectional") => Ok(MountPropagation::PropagationBidirectional),
        Some(mode) => Err(MountError::Invalid(format!("invalid MountPropagation mode: {mode:?}"))),
    }
}

fn recursive_read_only(mount: &VolumeMount, runtime_can: bool) -> Result<bool, MountError> {
    let mode = match mount.recursive_read_only.as_deref() {
        None | Some("Disabled") => return Ok(false),
        Some(mode) => mode,
    };
    let refused = |why: String| {
        let text = format!("volume {:?} requested recursive read-only mode, but it is {why}", mount.name);
        Err(MountError::Invalid(format!("failed to resolve recursive read-only mode: {text}")))
    };
    if mount.read_only != Some(true) {
        return refused("not read-only".to_owned());
    }
    match (mount.mount_propagation.as_deref(), mode) {
        (Some(propagation), _) if propagation != "None" => {
            refused(format!("not compatible with propagation {propagation:?}"))
        }
        (_, "IfPossible") => Ok(runtime_can),
        (_, "Enabled") if runtime_can => Ok(true),
        (_, "Enabled") => refused("not supported by the runtime".to_owned()),
        (_, mode) => Err(MountError::Invalid(format!(
            "failed to resolve recursive read-only mode: unknown recursive read-only mode {mode:?}"
        ))),
    }
}

/// The Pod's `/etc/hosts`, written anew: the addresses of a new sandbox may be others.
fn etc_hosts(request: &MountRequest<'_>) -> Result<Option<Mount>, MountError> {
    let on_host = request.pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true);
    if request.pod_addresses.is_empty() && !on_host {
        return Ok(None);
    }
    let path = request.folders.etc_hosts();
    let failed = |error| MountError::Host { text: "failed to write the pod's /etc/hosts".to_owned(), error };
    let text = if on_host {
        let of_node = fs::read(request.hosts_of_node).map_err(failed)?;
        hosts_file_of_node(request.pod, &String::from_utf8_lossy(&of_node))
    } else {
        hosts_file(request.pod, request.pod_addresses, request.name)
    };
    // In place, because running containers have the file mounted. A Pod without volumes has no folder yet.
    make_folder(request.folders.pod()).and_then(|()| write_in_place(&path, &text, 0o644)).map_err(failed)?;
    Ok(Some(file_mount(&path, ETC_HOSTS)))
}

/// An empty file into which the container writes why it ends.
fn termination_log(request: &MountRequest<'_>) -> Result<Option<Mount>, MountError> {
    let asked = request.container.termination_message_path.as_deref();
    let inside = match asked {
        Some("") => return Ok(None),
        asked => asked.unwrap_or("/dev/termination-log"),
    };
    let path = request.folders.termination_log(&request.container.name, request.attempt);
    let made = make_folder(&request.folders.container(&request.container.name))
        .and_then(|()| write_in_place(&path, "", 0o666));
    made.map_err(|error| MountError::Host {
        text: "failed to create the termination log".to_owned(),
        error,
    })?;
    Ok(Some(file_mount(&path, inside)))
}

fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o750).create(path)
}

fn write_in_place(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    use io::Write;
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

fn file_mount(path: &Path, inside: &str) -> Mount {
    Mount {
        container_path: absolute(inside),
        host_path: path.to_string_lossy().into_owned(),
        ..Mount::default()
    }
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

#[cfg(test)]
mod tests;
