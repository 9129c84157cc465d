//! Calls about images.

use std::time::Duration;

use keelson_proto::cri::v1::{
    AuthConfig, Image, ImageFilter, ImageFsInfoRequest, ImageFsInfoResponse, ImageSpec, ImageStatusRequest,
    ListImagesRequest, PodSandboxConfig, PullImageRequest, RemoveImageRequest,
};

use crate::runtime::DEADLINE;
use crate::{Runtime, RuntimeError};

/// How long a pull may take. Upstream sets no limit; this one only ends pulls that nobody waits for any more.
const PULL_DEADLINE: Duration = Duration::from_secs(60 * 60);

impl Runtime {
    /// The images that pass the filter.
    pub async fn list_images(&self, filter: Option<ImageFilter>) -> Result<Vec<Image>, RuntimeError> {
        let request = ListImagesRequest { filter };
        self.image("ListImages", DEADLINE, request, async |mut c, r| c.list_images(r).await)
            .await
            .map(|answer| answer.images)
    }

    /// An image by any of its names, or `None` if it is not there.
    pub async fn image_status(&self, image: &str) -> Result<Option<Image>, RuntimeError> {
        let request = ImageStatusRequest { image: Some(named(image)), verbose: false };
        self.image("ImageStatus", DEADLINE, request, async |mut c, r| c.image_status(r).await)
            .await
            .map(|answer| answer.image)
    }

    /// Fetches an image from its registry; the reference by which containers are made from it.
    pub async fn pull_image(
        &self,
        image: &str,
        auth: Option<AuthConfig>,
        sandbox_config: Option<PodSandboxConfig>,
    ) -> Result<String, RuntimeError> {
        let request = PullImageRequest { image: Some(named(image)), auth, sandbox_config };
        // The messages are large.
        Box::pin(self.image("PullImage", PULL_DEADLINE, request, async |mut c, r| c.pull_image(r).await))
            .await
            .map(|answer| answer.image_ref)
    }

    /// Removes an image. Idempotent.
    pub async fn remove_image(&self, image: &str) -> Result<(), RuntimeError> {
        let request = RemoveImageRequest { image: Some(named(image)) };
        self.image("RemoveImage", DEADLINE, request, async |mut c, r| c.remove_image(r).await).await.map(drop)
    }

    /// Where images lie, and how much they take.
    pub async fn image_fs_info(&self) -> Result<ImageFsInfoResponse, RuntimeError> {
        self.image("ImageFsInfo", DEADLINE, ImageFsInfoRequest {}, async |mut c, r| c.image_fs_info(r).await)
            .await
    }
}

fn named(image: &str) -> ImageSpec {
    ImageSpec { image: image.to_owned(), user_specified_image: image.to_owned(), ..Default::default() }
}
