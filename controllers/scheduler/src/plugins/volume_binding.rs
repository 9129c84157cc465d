//! VolumeBinding, its first check: a pod waits for the PersistentVolumeClaims that it names.
//!
//! Deliberately absent: which volume a claim may be bound to, and where that can be reached. Nobody binds claims yet.

use keelson_controller_runtime::ObjectKey;

use crate::cache::{Cache, Claim};
use crate::cluster_event::{ClusterEvent, EventKind};
use crate::diagnosis::Reason;
use crate::framework::{Plugin, PreFilter, PreFiltered};
use crate::pod_info::PodInfo;

pub(super) struct VolumeBinding;

impl Plugin for VolumeBinding {
    fn name(&self) -> &'static str {
        "VolumeBinding"
    }

    fn events(&self) -> &'static [EventKind] {
        &[EventKind::Claim]
    }

    fn may_help(&self, event: &ClusterEvent<'_>, pod: &PodInfo) -> bool {
        event.claim().is_some_and(|claim| {
            claim.namespace == pod.key.namespace && claims(pod).any(|wanted| wanted.name == *claim.name)
        })
    }
}

impl PreFilter for VolumeBinding {
    fn pre_filter<'a>(&self, pod: &'a PodInfo, cache: &'a Cache) -> PreFiltered<'a> {
        let obstacle = claims(pod).find_map(|wanted| {
            let key = ObjectKey::new(&*pod.key.namespace, &*wanted.name);
            obstacle(&wanted, cache.claims.get(&key))
        });
        obstacle.map_or(PreFiltered::Skip, |words| PreFiltered::Reject(Reason::OfThisPod(words.into())))
    }
}

/// A claim that a pod names.
struct Wanted {
    name: String,
    /// Whether it is made for the pod alone.
    is_ephemeral: bool,
}

fn claims(pod: &PodInfo) -> impl Iterator<Item = Wanted> {
    let volumes = pod.spec().and_then(|spec| spec.volumes.as_ref()).into_iter().flatten();
    volumes.filter_map(|volume| match (&volume.persistent_volume_claim, &volume.ephemeral) {
        (Some(claim), _) => Some(Wanted { name: claim.claim_name.clone(), is_ephemeral: false }),
        (None, Some(_)) => {
            Some(Wanted { name: format!("{}-{}", pod.key.name, volume.name), is_ephemeral: true })
        }
        (None, None) => None,
    })
}

/// What stands against a pod that names this claim.
fn obstacle(wanted: &Wanted, claim: Option<&Claim>) -> Option<String> {
    let name = &wanted.name;
    match claim {
        Some(Claim::Usable) => None,
        None if wanted.is_ephemeral => Some(format!(
            "waiting for ephemeral volume controller to create the persistentvolumeclaim {name:?}"
        )),
        None => Some(format!("persistentvolumeclaim {name:?} not found")),
        Some(Claim::Lost { volume }) => {
            Some(format!("persistentvolumeclaim {name:?} bound to non-existent persistentvolume {volume:?}"))
        }
        Some(Claim::Leaving) => Some(format!("persistentvolumeclaim {name:?} is being deleted")),
    }
}
