//! The groups `storage.k8s.io` and `storagemigration.k8s.io`.

use super::{super::ResourceInfo, Names, namespaced, of_cluster, status};
use crate::kinds::{
    csi_driver, csi_node, csi_storage_capacity, storage_class, storage_version_migration, volume_attachment,
    volume_attributes_class,
};

pub(super) const CSI_DRIVERS: ResourceInfo = ResourceInfo {
    columns: csi_driver::COLUMNS,
    strategy: &csi_driver::Rules,
    ..of_cluster("storage.k8s.io", "v1", Names("CSIDriver", "csidrivers", "csidriver"))
};

pub(super) const CSI_NODES: ResourceInfo = ResourceInfo {
    columns: csi_node::COLUMNS,
    strategy: &csi_node::Rules,
    ..of_cluster("storage.k8s.io", "v1", Names("CSINode", "csinodes", "csinode"))
};

pub(super) const CSI_STORAGE_CAPACITIES: ResourceInfo = ResourceInfo {
    columns: csi_storage_capacity::COLUMNS,
    strategy: &csi_storage_capacity::Rules,
    ..namespaced(
        "storage.k8s.io",
        "v1",
        Names("CSIStorageCapacity", "csistoragecapacities", "csistoragecapacity"),
    )
};

pub(super) const STORAGE_CLASSES: ResourceInfo = ResourceInfo {
    short_names: &["sc"],
    columns: storage_class::COLUMNS,
    strategy: &storage_class::Rules,
    ..of_cluster("storage.k8s.io", "v1", Names("StorageClass", "storageclasses", "storageclass"))
};

pub(super) const STORAGE_VERSION_MIGRATIONS: ResourceInfo = ResourceInfo {
    subresources: &[status("StorageVersionMigration")],
    columns: storage_version_migration::COLUMNS,
    strategy: &storage_version_migration::Rules,
    ..of_cluster(
        "storagemigration.k8s.io",
        "v1",
        Names("StorageVersionMigration", "storageversionmigrations", "storageversionmigration"),
    )
};

pub(super) const VOLUME_ATTACHMENTS: ResourceInfo = ResourceInfo {
    subresources: &[status("VolumeAttachment")],
    columns: volume_attachment::COLUMNS,
    strategy: &volume_attachment::Rules,
    ..of_cluster("storage.k8s.io", "v1", Names("VolumeAttachment", "volumeattachments", "volumeattachment"))
};

pub(super) const VOLUME_ATTRIBUTES_CLASSES: ResourceInfo = ResourceInfo {
    short_names: &["vac"],
    columns: volume_attributes_class::COLUMNS,
    strategy: &volume_attributes_class::Rules,
    ..of_cluster(
        "storage.k8s.io",
        "v1",
        Names("VolumeAttributesClass", "volumeattributesclasses", "volumeattributesclass"),
    )
};
