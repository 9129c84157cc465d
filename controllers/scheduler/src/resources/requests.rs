//! What a pod asks for, all containers together.
//!
//! Containers run side by side, so their requests add up. Init containers run one after the other before them, so the
//! largest counts; but those that keep running (`restartPolicy: Always`) stay beside everything that starts later.
//! What the pod asks for as a whole replaces the sum, and overhead comes on top. Of a container that is being resized
//! the larger of old and new counts, until the node has settled it.
//!
//! Source: `k8s.io/component-helpers/resource`.

use keelson_controller_runtime::pod::{Amounts, Container, ContainerStatus, Pod, PodSpec};

use super::{ComputeResources, Resources, Unreadable};

/// What scoring takes a container to use that asks for no processor: a tenth of a core.
const UNASKED_MILLI_CPU: i64 = 100;

/// What scoring takes a container to use that asks for no memory: 200 MiB.
const UNASKED_MEMORY: i64 = 200 << 20;

/// What the pod asks for.
pub(crate) fn requests(pod: &Pod) -> Resources {
    total(pod, Unasked::IsNothing)
}

/// What scoring takes the pod to use.
pub(crate) fn scoring_requests(pod: &Pod) -> ComputeResources {
    let total = total(pod, Unasked::IsALittle);
    ComputeResources { milli_cpu: total.milli_cpu, memory: total.memory }
}

#[derive(Clone, Copy)]
enum Unasked {
    IsNothing,
    IsALittle,
}

fn total(pod: &Pod, unasked: Unasked) -> Resources {
    let Some(spec) = &pod.spec else { return Resources::default() };
    let mut total = Resources::default();
    for container in &spec.containers {
        total.add(&of_container(pod, container, unasked));
    }
    add_init_containers(pod, spec, unasked, &mut total);
    if let Some(list) = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref()) {
        replace(&mut total, list);
    }
    if let Some(overhead) = &spec.overhead {
        total.add(&Resources::of(overhead.iter(), Unreadable::Everything));
    }
    total
}

fn add_init_containers(pod: &Pod, spec: &PodSpec, unasked: Unasked, total: &mut Resources) {
    let mut running = Resources::default();
    let mut largest = Resources::default();
    for container in spec.init_containers.iter().flatten() {
        let requests = of_container(pod, container, unasked);
        if keeps_running(container) {
            total.add(&requests);
            running.add(&requests);
            largest.raise_to(&running);
        } else {
            let mut meanwhile = requests;
            meanwhile.add(&running);
            largest.raise_to(&meanwhile);
        }
    }
    total.raise_to(&largest);
}

fn keeps_running(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// What the pod asks for as a whole.
fn replace(total: &mut Resources, list: &Amounts) {
    let whole = Resources::of(list.iter(), Unreadable::Everything);
    if list.names("cpu") {
        total.milli_cpu = whole.milli_cpu;
    }
    if list.names("memory") {
        total.memory = whole.memory;
    }
    for (name, amount) in whole.scalars.into_iter().filter(|(name, _)| name.starts_with("hugepages-")) {
        match total.scalars.binary_search_by(|(known, _)| known.cmp(&name)) {
            Ok(at) => total.scalars[at].1 = amount,
            Err(at) => total.scalars.insert(at, (name, amount)),
        }
    }
}

fn of_container(pod: &Pod, container: &Container, unasked: Unasked) -> Resources {
    let none = Amounts::default();
    let asked = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let asked = asked.unwrap_or(&none);
    let mut requests = Resources::of(asked.iter(), Unreadable::Everything);
    if let Some((status, actual)) = resized(pod, container) {
        let mut settled = Resources::of(actual.iter(), Unreadable::Nothing);
        settled.raise_to(&Resources::of(
            status.allocated_resources.as_ref().unwrap_or(&none).iter(),
            Unreadable::Nothing,
        ));
        match resize_is_infeasible(pod) {
            true => requests = settled,
            false => requests.raise_to(&settled),
        }
    }
    if let Unasked::IsALittle = unasked {
        if !asked.names("cpu") {
            requests.milli_cpu = UNASKED_MILLI_CPU;
        }
        if !asked.names("memory") {
            requests.memory = UNASKED_MEMORY;
        }
    }
    requests
}

/// What the node says of a container whose resources may change while it runs.
fn resized<'a>(pod: &'a Pod, container: &Container) -> Option<(&'a ContainerStatus, &'a Amounts)> {
    let status = pod.status.as_ref()?;
    let init = status.init_container_statuses.as_deref().filter(|_| keeps_running(container));
    let mut statuses = status.container_statuses.iter().flatten().chain(init.unwrap_or_default());
    let status = statuses.find(|status| status.name == container.name)?;
    Some((status, status.resources.as_ref()?.requests.as_ref()?))
}

/// Whether the node has said that it can never do what the spec asks for.
fn resize_is_infeasible(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| {
        condition.type_ == "PodResizePending" && condition.reason.as_deref() == Some("Infeasible")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MakePod;

    fn compute(pod: &Pod) -> (i64, i64) {
        let requests = requests(pod);
        (requests.milli_cpu, requests.memory)
    }

    #[test]
    fn containers_add_up_and_the_largest_init_container_counts() {
        let pod = MakePod::named("p").container("1", "10").container("500m", "20");
        assert_eq!(compute(&pod.clone().pod()), (1500, 30));
        let pod = pod.init_container("2", "5").init_container("1", "100");
        assert_eq!(compute(&pod.pod()), (2000, 100));
    }

    #[test]
    fn sidecars_stay_beside_all_that_starts_after_them() {
        let pod =
            MakePod::named("p").init_container("3", "0").sidecar("1", "10").init_container("2500m", "0");
        let pod = pod.container("1", "10");
        // 3 before the sidecar; 2.5 beside it; 1 beside it.
        assert_eq!(compute(&pod.pod()), (3500, 20));
    }

    #[test]
    fn the_whole_pod_replaces_the_sum_and_overhead_comes_on_top() {
        let pod = MakePod::named("p").container("1", "10").pod_level("cpu", "4").overhead("cpu", "250m");
        assert_eq!(compute(&pod.pod()), (4250, 10));
    }

    #[test]
    fn extended_resources_are_counted_by_name_and_foreign_words_are_not() {
        let pod = MakePod::named("p").request("example.com/gpu", "2").request("hugepages-2Mi", "4Mi");
        let found = requests(&pod.request("pods", "1").request("storage", "1").pod());
        assert_eq!(found.scalars, [("example.com/gpu".into(), 2), ("hugepages-2Mi".into(), 4 << 20)]);
    }

    #[test]
    fn a_resize_counts_with_the_larger_of_old_and_new_until_it_is_settled() {
        let pod = MakePod::named("p").container("1", "10");
        assert_eq!(compute(&pod.clone().resources_of_first("3", "5").pod()), (3000, 10));
        let infeasible =
            pod.resources_of_first("500m", "5").condition("PodResizePending", "True", "Infeasible");
        assert_eq!(compute(&infeasible.pod()), (500, 5));
    }

    #[test]
    fn scoring_takes_silent_containers_to_use_a_little() {
        let silent = MakePod::named("p").plain_container().plain_container().pod();
        let little = ComputeResources { milli_cpu: 200, memory: 400 << 20 };
        assert_eq!((scoring_requests(&silent), requests(&silent).is_zero()), (little, true));
        let zero = MakePod::named("p").container("0", "0").pod();
        assert_eq!(scoring_requests(&zero), ComputeResources::default(), "zero is an answer");
    }
}
