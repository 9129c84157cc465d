//! ImageLocality: rather a node that has the pod's images, but not always the same one.

use keelson_controller_runtime::pod::{Container, PodSpec};

use crate::cache::{Cache, Image, NodeInfo, NodeSlot};
use crate::framework::{MAX_NODE_SCORE, Plugin, PreScore, Score};
use crate::pod_info::PodInfo;

/// Images below this are fetched soon enough.
const LEAST: i64 = 23 << 20;

/// More than this per container makes no further difference.
const MOST_PER_CONTAINER: i64 = 1000 << 20;

pub(super) struct ImageLocality;

/// What the pod's images on each node weigh, by slot.
struct Present {
    weights: Vec<i64>,
    most: i64,
}

impl Plugin for ImageLocality {
    fn name(&self) -> &'static str {
        "ImageLocality"
    }
}

impl PreScore for ImageLocality {
    fn pre_score<'a>(
        &self,
        pod: &'a PodInfo,
        cache: &'a Cache,
        _: &[NodeSlot],
    ) -> Option<Box<dyn Score + 'a>> {
        let spec = pod.spec()?;
        let images: Vec<&Image> = containers(spec).filter_map(|container| known(container, cache)).collect();
        if images.is_empty() {
            return None;
        }
        let mut weights = vec![0i64; cache.slots()];
        for image in images {
            // What is everywhere counts full; what few nodes have would draw all pods to them.
            let spread = image.nodes.len() as f64 / cache.order().len() as f64;
            let weight = (image.size as f64 * spread) as i64;
            for slot in &image.nodes {
                let present = &mut weights[slot.index()];
                *present = weight.saturating_add(*present);
            }
        }
        let count = i64::try_from(containers(spec).count()).unwrap_or(i64::MAX);
        Some(Box::new(Present { weights, most: MOST_PER_CONTAINER.saturating_mul(count) }))
    }
}

impl Score for Present {
    fn score(&self, node: &NodeInfo) -> i64 {
        let weight = self.weights[node.slot.index()].clamp(LEAST, self.most);
        MAX_NODE_SCORE * (weight - LEAST) / (self.most - LEAST)
    }
}

fn containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.init_containers.iter().flatten().chain(&spec.containers)
}

fn known<'a>(container: &Container, cache: &'a Cache) -> Option<&'a Image> {
    let name = container.image.as_deref()?;
    // A colon that is not followed by a path is a port, not a tag.
    let has_tag = name.rfind(':') > name.rfind('/');
    if has_tag { cache.images.get(name) } else { cache.images.get(&format!("{name}:latest")) }
}
