//! What kind of volume a Pod asks for, and where it lies. Pure.
//!
//! In: one entry of `spec.volumes`. Out: its source, as one of those that this node knows, or a refusal that names
//! the one asked for.

use std::path::PathBuf;

use k8s_openapi::{
    api::core::v1::{
        ConfigMapVolumeSource, DownwardAPIVolumeSource, HostPathVolumeSource, Pod, ProjectedVolumeSource,
        SecretVolumeSource, Volume,
    },
    apimachinery::pkg::api::resource::Quantity,
};

use crate::{
    error::Problem,
    folders::{PodFolders, one_part},
};

/// The kinds of volumes that have folders below a Pod's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    EmptyDir,
    ConfigMap,
    Secret,
    DownwardApi,
    Projected,
}

impl Kind {
    /// The folder of all volumes of this kind: the name of upstream's plugin.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::EmptyDir => "kubernetes.io~empty-dir",
            Self::ConfigMap => "kubernetes.io~configmap",
            Self::Secret => "kubernetes.io~secret",
            Self::DownwardApi => "kubernetes.io~downward-api",
            Self::Projected => "kubernetes.io~projected",
        }
    }

    /// What its projected files lie on. ConfigMaps lie on the disk, as upstream.
    pub(crate) fn medium(self) -> Medium {
        match self {
            Self::Secret | Self::DownwardApi | Self::Projected => Medium::Memory,
            Self::EmptyDir | Self::ConfigMap => Medium::Disk,
        }
    }
}

/// Where a volume's contents come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    EmptyDir { medium: Medium, limit: Option<&'a Quantity> },
    ConfigMap(&'a ConfigMapVolumeSource),
    Secret(&'a SecretVolumeSource),
    DownwardApi(&'a DownwardAPIVolumeSource),
    Projected(&'a ProjectedVolumeSource),
    HostPath(&'a HostPathVolumeSource),
}

/// Where a volume lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// Below the Pod's folder, with others of its kind.
    Pod(Kind),
    /// Anywhere on the host.
    Host(&'a str),
}

/// What an emptyDir lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Medium {
    Disk,
    Memory,
}

impl<'a> Source<'a> {
    /// Of this volume, if it is one that this node can set up.
    pub(crate) fn of(volume: &'a Volume) -> Result<Self, Problem> {
        one_part("volume", &volume.name).map_err(|error| Problem::Invalid(error.to_string()))?;
        if let Some(kind) = unsupported(volume) {
            return Err(Problem::Unsupported(format!("volumes of type {kind} are not supported yet")));
        }
        if let Some(source) = &volume.config_map {
            return Ok(Self::ConfigMap(source));
        }
        if let Some(source) = &volume.secret {
            return Ok(Self::Secret(source));
        }
        if let Some(source) = &volume.downward_api {
            return Ok(Self::DownwardApi(source));
        }
        if let Some(source) = &volume.projected {
            return Ok(Self::Projected(source));
        }
        if let Some(source) = &volume.host_path {
            return Ok(Self::HostPath(source));
        }
        // A volume without a source is an emptyDir.
        let source = volume.empty_dir.as_ref();
        let medium = medium(source.and_then(|it| it.medium.as_deref()).unwrap_or_default())?;
        Ok(Self::EmptyDir { medium, limit: source.and_then(|it| it.size_limit.as_ref()) })
    }

    /// Where it has its place.
    pub(crate) fn place(&self) -> Place<'a> {
        match self {
            Self::EmptyDir { .. } => Place::Pod(Kind::EmptyDir),
            Self::ConfigMap(_) => Place::Pod(Kind::ConfigMap),
            Self::Secret(_) => Place::Pod(Kind::Secret),
            Self::DownwardApi(_) => Place::Pod(Kind::DownwardApi),
            Self::Projected(_) => Place::Pod(Kind::Projected),
            Self::HostPath(source) => Place::Host(&source.path),
        }
    }

    /// Whether containers get it read-only, whatever they ask for.
    pub(crate) fn is_read_only(&self) -> bool {
        match self {
            Self::ConfigMap(_) | Self::Secret(_) | Self::DownwardApi(_) | Self::Projected(_) => true,
            Self::EmptyDir { .. } | Self::HostPath(_) => false,
        }
    }

    /// Where the volume `name` lies on the node.
    pub(crate) fn location(&self, folders: &PodFolders, name: &str) -> PathBuf {
        match self.place() {
            Place::Pod(kind) => folders.volume(kind, name),
            Place::Host(path) => PathBuf::from(path),
        }
    }
}

/// The Pod's volume of this name.
pub(crate) fn named<'a>(pod: &'a Pod, name: &str) -> Option<&'a Volume> {
    let volumes = pod.spec.as_ref()?.volumes.as_deref().unwrap_or_default();
    volumes.iter().find(|volume| volume.name == name)
}

fn medium(medium: &str) -> Result<Medium, Problem> {
    match medium {
        "" => Ok(Medium::Disk),
        "Memory" => Ok(Medium::Memory),
        _ if medium == "HugePages" || medium.starts_with("HugePages-") => {
            Err(Problem::Unsupported(format!("emptyDir volumes on medium {medium} are not supported yet")))
        }
        _ => Err(Problem::Invalid(format!("unknown storage medium {medium:?}"))),
    }
}

/// The name of a volume's source, if it is one that this node does not know.
fn unsupported(volume: &Volume) -> Option<&'static str> {
    let kinds = [
        ("awsElasticBlockStore", volume.aws_elastic_block_store.is_some()),
        ("azureDisk", volume.azure_disk.is_some()),
        ("azureFile", volume.azure_file.is_some()),
        ("cephfs", volume.cephfs.is_some()),
        ("cinder", volume.cinder.is_some()),
        ("csi", volume.csi.is_some()),
        ("ephemeral", volume.ephemeral.is_some()),
        ("fc", volume.fc.is_some()),
        ("flexVolume", volume.flex_volume.is_some()),
        ("flocker", volume.flocker.is_some()),
        ("gcePersistentDisk", volume.gce_persistent_disk.is_some()),
        ("gitRepo", volume.git_repo.is_some()),
        ("glusterfs", volume.glusterfs.is_some()),
        ("image", volume.image.is_some()),
        ("iscsi", volume.iscsi.is_some()),
        ("nfs", volume.nfs.is_some()),
        ("persistentVolumeClaim", volume.persistent_volume_claim.is_some()),
        ("photonPersistentDisk", volume.photon_persistent_disk.is_some()),
        ("portworxVolume", volume.portworx_volume.is_some()),
        ("quobyte", volume.quobyte.is_some()),
        ("rbd", volume.rbd.is_some()),
        ("scaleIO", volume.scale_io.is_some()),
        ("storageos", volume.storageos.is_some()),
        ("vsphereVolume", volume.vsphere_volume.is_some()),
    ];
    kinds.iter().find(|(_, asked)| *asked).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn volume(mut source: Value) -> Volume {
        source["name"] = json!("v");
        serde_json::from_value(source).unwrap()
    }

    #[test]
    fn what_is_not_supported_is_refused_for_good_and_by_name() {
        for (source, kind) in [
            (json!({"persistentVolumeClaim": {"claimName": "c"}}), "persistentVolumeClaim"),
            (json!({"nfs": {"server": "s", "path": "/"}}), "nfs"),
            (json!({"csi": {"driver": "d"}}), "csi"),
            (json!({"ephemeral": {}}), "ephemeral"),
            (json!({"image": {"reference": "r"}}), "image"),
        ] {
            let volume = volume(source);
            let problem = Source::of(&volume).unwrap_err();
            assert_eq!(problem.to_string(), format!("volumes of type {kind} are not supported yet"));
            assert!(problem.is_permanent());
        }
    }

    #[test]
    fn huge_pages_and_unknown_media_are_refused() {
        for (medium, text) in [
            ("HugePages-2Mi", "emptyDir volumes on medium HugePages-2Mi are not supported yet"),
            ("Tape", "unknown storage medium \"Tape\""),
        ] {
            let volume = volume(json!({"emptyDir": {"medium": medium}}));
            assert_eq!(Source::of(&volume).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn a_volume_without_a_source_is_an_empty_dir_on_disk() {
        let volume = volume(json!({}));
        assert!(matches!(Source::of(&volume), Ok(Source::EmptyDir { medium: Medium::Disk, limit: None })));
    }

    #[test]
    fn a_volumes_name_cannot_lead_elsewhere() {
        let mut volume = volume(json!({"emptyDir": {}}));
        volume.name = "../x".into();
        assert!(Source::of(&volume).unwrap_err().is_permanent());
    }
}
