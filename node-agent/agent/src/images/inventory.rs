//! The images that a node tells of, for the scheduler to prefer nodes that have them. Pure.

use k8s_openapi::api::core::v1::ContainerImage;
use keelson_proto::cri::v1::Image;

/// How many images are told, and how many names of each: upstream's.
const MAX_IMAGES: usize = 50;
const MAX_NAMES: usize = 5;

/// The largest images first.
pub(crate) fn told(mut images: Vec<Image>) -> Vec<ContainerImage> {
    images.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.id.cmp(&b.id)));
    let told = images.into_iter().take(MAX_IMAGES).map(|image| {
        let names = image.repo_digests.into_iter().chain(image.repo_tags).take(MAX_NAMES).collect();
        ContainerImage { names: Some(names), size_bytes: i64::try_from(image.size).ok() }
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_images_are_told_with_some_of_their_names() {
        let image = |size: u64| Image {
            id: size.to_string(),
            repo_tags: (0..9).map(|tag| format!("x:{tag}")).collect(),
            repo_digests: vec!["x@sha256:1".into()],
            size,
            ..Image::default()
        };
        let told = told((1..=60).map(image).collect());
        assert_eq!((told.len(), told[0].size_bytes, told[49].size_bytes), (50, Some(60), Some(11)));
        assert_eq!(told[0].names.as_ref().unwrap(), &["x@sha256:1", "x:0", "x:1", "x:2", "x:3"]);
    }
}
