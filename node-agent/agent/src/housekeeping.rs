//! What was left behind: pods that the API lost while the agent was down, and what is there of pods that nobody knows.
//!
//! In: the pods that are known, the runtime, the disk, the control groups. Out: workers that bring the unknown to its
//! end; folders, logs and control groups of what is long gone, removed. Nothing is touched before the API has told
//! all its pods; and whether a pod is known is asked anew before each removal, because pods come while others go.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use k8s_openapi::api::core::v1::Pod;
use keelson_node_volumes::{PodFolders, tear_down};

use crate::config::resources;
use crate::pod::qos::Class;
use crate::pod::spec;
use crate::quantity;
use crate::registry::Record;
use crate::runtime::labels::Owner;
use crate::shared::Shared;

/// Tidies up once; the records of pods that need a worker to bring them to their end.
pub(crate) async fn tidy(shared: &Arc<Shared>) -> Vec<Arc<Record>> {
    let owners = shared.observer.owners();
    let mut orphans = Vec::new();
    for owner in &owners {
        orphans.extend(adopt(shared, owner).await);
    }
    let in_runtime: HashSet<String> = owners.into_iter().map(|owner| owner.uid).collect();
    let is_known = |uid: &str| in_runtime.contains(uid) || shared.registry.get(uid).is_some();
    remove_folders(&shared.root, is_known).await;
    remove_logs(&shared.pod_logs, is_known);
    for uid in shared.cgroups.pods() {
        if !is_known(&uid)
            && let Err(error) = shared.cgroups.remove_pod(&uid).await
        {
            tracing::warn!(%error, "a control group of a pod that is gone is still there");
        }
    }
    let pods: Vec<Arc<Pod>> = shared.registry.all().iter().map(|record| record.pod()).collect();
    shared.source.retain(pods.iter());
    weigh(shared);
    orphans
}

/// A pod that the runtime has and nobody asks for.
async fn adopt(shared: &Shared, owner: &Owner) -> Option<Arc<Record>> {
    if shared.registry.get(&owner.uid).is_some() {
        return None;
    }
    match shared.observer.restore(owner).await {
        Ok(pod) => {
            let record = shared.registry.adopt(pod)?;
            tracing::info!(
                pod = spec::described(&record.pod()),
                "the API does not have this pod: stopping it"
            );
            Some(record)
        }
        Err(error) => {
            tracing::debug!(%error, "a pod that nobody asks for cannot be looked at");
            None
        }
    }
}

/// The pods of class Burstable together get the weight of what they ask for.
fn weigh(shared: &Shared) {
    let pods = shared.registry.active_besides("");
    let burstable = pods.iter().filter(|pod| Class::of(pod) == Class::Burstable);
    let asked = burstable.map(|pod| resources::pod_request(pod, "cpu", quantity::thousandths_of));
    if let Err(error) = shared.cgroups.weigh_burstable(asked.fold(0, i64::saturating_add)) {
        tracing::warn!(%error, "the pods' control groups are not weighed");
    }
}

async fn remove_folders(root: &Path, is_known: impl Fn(&str) -> bool) {
    for uid in names(&PodFolders::all(root)) {
        if is_known(&uid) {
            continue;
        }
        let Ok(folders) = PodFolders::new(root, &uid) else { continue };
        if let Err(error) = tear_down(&folders).await {
            tracing::warn!(%error, "the folder of a pod that is gone is still there");
        }
    }
}

fn remove_logs(logs: &Path, is_known: impl Fn(&str) -> bool) {
    for name in names(logs) {
        let is_of_gone = name.rsplit_once('_').is_some_and(|(_, uid)| !is_known(uid));
        if !is_of_gone {
            continue;
        }
        match fs::remove_dir_all(logs.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "the logs of a pod that is gone are still there");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// What is in a folder at this moment; nothing if it is not there.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_removed_with_their_pods_and_nothing_else_is() {
        let logs = tempfile::tempdir().unwrap();
        for name in ["shop_web_known", "shop_web_gone", "other"] {
            fs::create_dir(logs.path().join(name)).unwrap();
        }
        remove_logs(logs.path(), |uid| uid == "known");
        let mut left: Vec<_> = fs::read_dir(logs.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["other", "shop_web_known"]);
    }

    #[tokio::test]
    async fn folders_of_unknown_pods_are_removed() {
        let root = tempfile::tempdir().unwrap();
        for uid in ["known", "gone"] {
            fs::create_dir_all(root.path().join("pods").join(uid).join("volumes")).unwrap();
        }
        remove_folders(root.path(), |uid| uid == "known").await;
        assert!(root.path().join("pods/known").exists() && !root.path().join("pods/gone").exists());
    }

    #[tokio::test]
    async fn a_pod_that_comes_while_another_goes_keeps_what_it_has() {
        let root = tempfile::tempdir().unwrap();
        let pods = root.path().join("pods");
        for uid in ["1", "2"] {
            fs::create_dir_all(pods.join(uid)).unwrap();
        }
        // Whichever is asked for first is gone, and while it goes the other one comes.
        let asked = std::cell::Cell::new(false);
        remove_folders(root.path(), |_| asked.replace(true)).await;
        assert_eq!(names(&pods).len(), 1);
    }
}
