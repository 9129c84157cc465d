//! Which nodes have which images.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::ContainerImage;

use super::slots::NodeSlot;

/// Nodes by image.
#[derive(Debug, Default)]
pub(crate) struct ImageIndex {
    images: HashMap<Box<str>, Image>,
}

/// An image that some node has.
#[derive(Debug, Default)]
pub(crate) struct Image {
    /// In bytes, as the node said that was heard last.
    pub(crate) size: i64,
    /// In the order of their slots.
    pub(crate) nodes: Vec<NodeSlot>,
}

impl ImageIndex {
    pub(crate) fn add(&mut self, slot: NodeSlot, images: &[ContainerImage]) {
        for (name, size) in named(images) {
            let image = match self.images.get_mut(name) {
                Some(image) => image,
                None => self.images.entry(name.into()).or_default(),
            };
            image.size = size;
            if let Err(at) = image.nodes.binary_search(&slot) {
                image.nodes.insert(at, slot);
            }
        }
    }

    pub(crate) fn remove(&mut self, slot: NodeSlot, images: &[ContainerImage]) {
        for (name, _) in named(images) {
            let Some(image) = self.images.get_mut(name) else { continue };
            if let Ok(at) = image.nodes.binary_search(&slot) {
                image.nodes.remove(at);
            }
            if image.nodes.is_empty() {
                self.images.remove(name);
            }
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Image> {
        self.images.get(name)
    }
}

fn named(images: &[ContainerImage]) -> impl Iterator<Item = (&str, i64)> {
    images.iter().flat_map(|image| {
        let size = image.size_bytes.unwrap_or_default();
        image.names.iter().flatten().map(move |name| (name.as_str(), size))
    })
}
