//! What the scheduler has to know of PersistentVolumeClaims.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use keelson_controller_runtime::ObjectKey;

/// All claims.
pub(crate) type Claims = HashMap<ObjectKey, Claim>;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Pods may have it.
    Usable,
    /// Its volume is gone.
    Lost {
        /// Which that was.
        volume: String,
    },
    /// It is being deleted.
    Leaving,
}

impl Claim {
    pub(crate) fn of(claim: &PersistentVolumeClaim) -> Self {
        let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
        match phase {
            Some("Lost") => Self::Lost {
                volume: claim.spec.as_ref().and_then(|spec| spec.volume_name.clone()).unwrap_or_default(),
            },
            _ if claim.metadata.deletion_timestamp.is_some() => Self::Leaving,
            _ => Self::Usable,
        }
    }
}
