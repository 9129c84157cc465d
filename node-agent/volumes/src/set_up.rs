//! The volumes of one Pod, from the first container to the last.
//!
//! In: the Pod, its objects, the time. Out: folders with contents on the node, and when to look again. Calling again
//! changes nothing that has not changed. Everything that is fetched is fetched first; what touches the disk after that
//! is done in one go, so that giving up in between leaves no half-written volume.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
    sync::Arc,
};

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Volume};
use time::OffsetDateTime;

use crate::{
    container::{fs_group, used_volumes},
    empty_dir,
    error::{Problem, SourceError, VolumeError, VolumeErrors},
    folders::PodFolders,
    host_path,
    nested::{make_mount_points, nested_mount_points},
    node::Node,
    ownership::Ownership,
    projection::{Named, files},
    source::ObjectSource,
    token::{TokenRequest, Tokens},
    volume::{Kind, Medium, Source, named},
    writer::{Written, write},
};

/// One Pod's volumes. Whoever works for the Pod keeps it as long as the Pod is there: it holds the Pod's tokens until
/// their renewal, and what is immutable. After a restart of the agent a new one takes over what is on the disk.
#[derive(Debug)]
pub struct PodVolumes {
    folders: PodFolders,
    tokens: Tokens,
    immutable: Immutable,
}

/// What a refresh has done.
#[derive(Debug, Default)]
pub struct Refreshed {
    /// Volumes whose contents have changed.
    pub changed: Vec<String>,
    /// Volumes that keep their former contents, and why. Each makes an event.
    pub errors: Vec<VolumeError>,
    /// When a token has to be renewed: refresh again then, or earlier if an object of the Pod changes.
    pub next: Option<OffsetDateTime>,
}

/// Objects that said that they never change. They are not asked for again, as long as the Pod lives.
#[derive(Debug, Default)]
struct Immutable {
    config_maps: BTreeMap<String, Arc<ConfigMap>>,
    secrets: BTreeMap<String, Arc<Secret>>,
}

/// Whose turn it is: at first all volumes, later those that can change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    Changing,
}

/// What one look at a Pod's volumes is made with.
struct Round<'a, S> {
    pod: &'a Pod,
    source: &'a S,
    node: &'a Node,
    now: OffsetDateTime,
}

impl<S> Copy for Round<'_, S> {}

impl<S> Clone for Round<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl PodVolumes {
    /// Of the Pod with these folders.
    #[must_use]
    pub fn new(folders: PodFolders) -> Self {
        Self { folders, tokens: Tokens::default(), immutable: Immutable::default() }
    }

    /// Where they are.
    #[must_use]
    pub fn folders(&self) -> &PodFolders {
        &self.folders
    }

    /// Sets up every volume that a container uses; those that are there already are brought up to date. To be called
    /// before the Pod's sandbox is made, and again until it succeeds. Says when to [`Self::refresh`].
    ///
    /// # Errors
    ///
    /// For each volume that is not there. The others are.
    pub async fn set_up<S: ObjectSource>(
        &mut self,
        pod: &Pod,
        source: &S,
        node: &Node,
        now: OffsetDateTime,
    ) -> Result<Option<OffsetDateTime>, VolumeErrors> {
        let done = self.go_through(Which::All, Round { pod, source, node, now }).await;
        if done.errors.is_empty() { Ok(done.next) } else { Err(VolumeErrors(done.errors)) }
    }

    /// Brings contents up to date: ConfigMaps, Secrets, labels and annotations, tokens.
    pub async fn refresh<S: ObjectSource>(
        &mut self,
        pod: &Pod,
        source: &S,
        node: &Node,
        now: OffsetDateTime,
    ) -> Refreshed {
        self.go_through(Which::Changing, Round { pod, source, node, now }).await
    }

    async fn go_through<S: ObjectSource>(&mut self, which: Which, round: Round<'_, S>) -> Refreshed {
        let mut done = Refreshed::default();
        for name in used_volumes(round.pod) {
            // A mount of a volume that the Pod does not have is refused when the container is created.
            let Some(volume) = named(round.pod, name) else { continue };
            match self.one(which, volume, round).await {
                Ok(Written::Changed) => done.changed.push(volume.name.clone()),
                Ok(Written::Unchanged) => {}
                Err(problem) => done.errors.push(VolumeError::new(name, problem)),
            }
        }
        done.next = self.tokens.next_renewal();
        done
    }

    async fn one<S: ObjectSource>(
        &mut self,
        which: Which,
        volume: &Volume,
        round: Round<'_, S>,
    ) -> Result<Written, Problem> {
        let from = Source::of(volume)?;
        match from {
            Source::EmptyDir { .. } | Source::HostPath(_) if which == Which::Changing => {
                Ok(Written::Unchanged)
            }
            Source::EmptyDir { medium, limit } => {
                let size = empty_dir::memory_size(round.pod, round.node, limit);
                let folder = from.location(&self.folders, &volume.name);
                let ownership = Ownership { group: fs_group(round.pod), read_only: false };
                self.make_pod_folder()?;
                let made = empty_dir::set_up(&folder, medium, size, ownership);
                made.map_err(|error| Problem::host(format!("setting up {}", folder.display()), error))?;
                Ok(Written::Unchanged)
            }
            Source::HostPath(path) => host_path::set_up(path).map(|()| Written::Unchanged),
            Source::ConfigMap(_) => self.project(Kind::ConfigMap, &from, &volume.name, round).await,
            Source::Secret(_) => self.project(Kind::Secret, &from, &volume.name, round).await,
            Source::DownwardApi(_) => self.project(Kind::DownwardApi, &from, &volume.name, round).await,
            Source::Projected(_) => self.project(Kind::Projected, &from, &volume.name, round).await,
        }
    }

    async fn project<S: ObjectSource>(
        &mut self,
        kind: Kind,
        from: &Source<'_>,
        name: &str,
        round: Round<'_, S>,
    ) -> Result<Written, Problem> {
        let named = self.fetch(from, round).await;
        let files = files(from, round.pod, round.node, &named)?;
        let inside = nested_mount_points(round.pod, name)?;
        let size = empty_dir::memory_size(round.pod, round.node, None);
        let folder = self.folders.volume(kind, name);
        let ownership = Ownership { group: fs_group(round.pod), read_only: true };
        self.make_pod_folder()?;
        let written = make_folder(&folder, kind.medium(), size, ownership)
            .and_then(|()| make_mount_points(&folder, &inside))
            .and_then(|()| write(&folder, &files, ownership, round.now));
        written.map_err(|error| Problem::host(format!("writing {}", folder.display()), error))
    }

    fn make_pod_folder(&self) -> Result<(), Problem> {
        let volumes = self.folders.volumes();
        let made = fs::DirBuilder::new().recursive(true).mode(0o750).create(&volumes);
        made.map_err(|error| Problem::host(format!("creating {}", volumes.display()), error))
    }

    /// Everything that a volume names.
    async fn fetch<S: ObjectSource>(&mut self, from: &Source<'_>, round: Round<'_, S>) -> Named {
        let Round { pod, source, now, .. } = round;
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let names = Names::of(from);
        let mut named = Named::default();
        for name in names.config_maps {
            let found = self.immutable.config_map(namespace, name, source).await;
            named.config_maps.insert(name.to_owned(), found);
        }
        for name in names.secrets {
            let found = self.immutable.secret(namespace, name, source).await;
            named.secrets.insert(name.to_owned(), found);
        }
        for request in names.tokens {
            let token = self.tokens.get(pod, &request, source, now).await;
            named.tokens.insert(request, token);
        }
        named
    }
}

impl Immutable {
    async fn config_map<S: ObjectSource>(
        &mut self,
        namespace: &str,
        name: &str,
        source: &S,
    ) -> Result<Option<Arc<ConfigMap>>, SourceError> {
        if let Some(kept) = self.config_maps.get(name) {
            return Ok(Some(Arc::clone(kept)));
        }
        let found = source.config_map(namespace, name).await?;
        if let Some(object) = found.as_ref().filter(|object| object.immutable == Some(true)) {
            self.config_maps.insert(name.to_owned(), Arc::clone(object));
        }
        Ok(found)
    }

    async fn secret<S: ObjectSource>(
        &mut self,
        namespace: &str,
        name: &str,
        source: &S,
    ) -> Result<Option<Arc<Secret>>, SourceError> {
        if let Some(kept) = self.secrets.get(name) {
            return Ok(Some(Arc::clone(kept)));
        }
        let found = source.secret(namespace, name).await?;
        if let Some(object) = found.as_ref().filter(|object| object.immutable == Some(true)) {
            self.secrets.insert(name.to_owned(), Arc::clone(object));
        }
        Ok(found)
    }
}

/// What a volume names.
#[derive(Default)]
struct Names<'a> {
    config_maps: BTreeSet<&'a str>,
    secrets: BTreeSet<&'a str>,
    tokens: BTreeSet<TokenRequest>,
}

impl<'a> Names<'a> {
    fn of(from: &Source<'a>) -> Self {
        let mut names = Self::default();
        match from {
            Source::ConfigMap(source) => drop(names.config_maps.insert(&source.name)),
            Source::Secret(source) => names.secrets.extend(source.secret_name.as_deref()),
            Source::Projected(source) => {
                for projection in source.sources.as_deref().unwrap_or_default() {
                    names.config_maps.extend(projection.config_map.as_ref().map(|it| it.name.as_str()));
                    names.secrets.extend(projection.secret.as_ref().map(|it| it.name.as_str()));
                    names.tokens.extend(projection.service_account_token.as_ref().map(TokenRequest::of));
                }
            }
            Source::EmptyDir { .. } | Source::DownwardApi(_) | Source::HostPath(_) => {}
        }
        names
    }
}

/// The folder of a volume whose contents are projected. Secrets stay in memory where the host lets the agent mount;
/// where it does not, they lie on the disk in a folder that the agent's user alone may enter.
fn make_folder(folder: &Path, medium: Medium, size: Option<u64>, ownership: Ownership) -> io::Result<()> {
    match empty_dir::set_up(folder, medium, size, Ownership::default()) {
        Err(error) if medium == Medium::Memory && error.kind() == io::ErrorKind::PermissionDenied => {
            tracing::warn!(folder = %folder.display(), %error, "no tmpfs here: a volume's files lie on the disk");
            if let Some(above) = folder.parent() {
                fs::set_permissions(above, fs::Permissions::from_mode(0o700))?;
            }
        }
        other => other?,
    }
    ownership.apply(folder)
}

#[cfg(test)]
mod tests;
