//! Containers that run and are to have another size.
//!
//! In: the spec, and what the kernel says of instances that run. Out: those to be resized as they are; those whose
//! `resizePolicy` wants them restarted for it are stopped and started again. Of an instance whose size cannot be read
//! nothing is known, and nothing is done.

use k8s_openapi::api::core::v1::{Container, Pod};

use super::{Resize, Stop, Why, Work};
use crate::config::resources::{self, Bounds};
use crate::pod::spec;
use crate::runtime::observed::{Observed, Size};

/// Which instances get another size where they are.
pub(super) fn plan(pod: &Pod, observed: &Observed, work: &mut Work) -> Vec<Resize> {
    let mut resize = Vec::new();
    for (index, container) in spec::init_containers(pod).iter().enumerate() {
        if spec::is_sidecar(container) && judge(container, observed, work, &mut resize) {
            work.start.init.push(index);
            work.start.init.sort_unstable();
        }
    }
    for (index, container) in spec::containers(pod).iter().enumerate() {
        if judge(container, observed, work, &mut resize) {
            work.start.main.push(index);
        }
    }
    resize
}

/// Whether the container has to be restarted for its size.
fn judge(container: &Container, observed: &Observed, work: &mut Work, resize: &mut Vec<Resize>) -> bool {
    let name = &container.name;
    let Some((instance, size)) =
        observed.newest(name).and_then(|instance| instance.size.map(|size| (instance, size)))
    else {
        return false;
    };
    let wanted = resources::bounds(container);
    if size.is(&wanted) || work.stop.iter().any(|stop| stop.id == instance.id) {
        return false;
    }
    let is_restarted = wants_restart(container, &size, &wanted);
    if is_restarted {
        work.stop.push(Stop {
            id: instance.id.clone(),
            container: name.clone(),
            message: format!("Container {name} resize requires restart"),
            why: Why::Other,
        });
    } else {
        resize.push(Resize { id: instance.id.clone(), container: name.clone() });
    }
    is_restarted
}

fn wants_restart(container: &Container, size: &Size, wanted: &Bounds) -> bool {
    container.resize_policy.iter().flatten().filter(|it| it.restart_policy == "RestartContainer").any(|it| {
        match it.resource_name.as_str() {
            "cpu" => !size.given.has_cpu_of(wanted),
            "memory" => !size.given.has_memory_of(wanted),
            _ => false,
        }
    })
}
