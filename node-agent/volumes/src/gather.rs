//! Fetching what a Pod names, before anything is built from it.
//!
//! In: the Pod, an [`ObjectSource`]. Out: [`Gathered`]: each object once, with "not there" told from "not known", which
//! is an error.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, Secret, Service};

use crate::{
    error::{EnvError, SourceError},
    folders::PodFolders,
    source::ObjectSource,
    subpath,
    volume::{self, Source},
};

/// An environment file is no place for more.
const MAX_ENV_FILE: u64 = 1 << 20;

/// The objects that a container's environment is made of.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) config_maps: BTreeMap<String, Option<Arc<ConfigMap>>>,
    pub(crate) secrets: BTreeMap<String, Option<Arc<Secret>>>,
    pub(crate) own_services: Vec<Arc<Service>>,
    pub(crate) default_services: Vec<Arc<Service>>,
    /// The text of each file, by volume and path; none where there is no file.
    pub(crate) files: BTreeMap<(String, String), Option<String>>,
}

impl Gathered {
    /// The ConfigMap; none if it is not there and need not be.
    pub(crate) fn config_map(
        &self,
        name: &str,
        optional: Option<bool>,
    ) -> Result<Option<&ConfigMap>, EnvError> {
        match self.config_maps.get(name).and_then(Option::as_deref) {
            None if optional != Some(true) => Err(EnvError::Missing(no_config_map(name))),
            config_map => Ok(config_map),
        }
    }

    /// The Secret; none if it is not there and need not be.
    pub(crate) fn secret(&self, name: &str, optional: Option<bool>) -> Result<Option<&Secret>, EnvError> {
        match self.secrets.get(name).and_then(Option::as_deref) {
            None if optional != Some(true) => Err(EnvError::Missing(no_secret(name))),
            secret => Ok(secret),
        }
    }

    /// The text of a file in a volume; none if it is not there.
    pub(crate) fn file(&self, volume: &str, path: &str) -> Result<Option<&str>, EnvError> {
        let file = self.files.get(&(volume.to_owned(), path.to_owned()));
        let missing =
            || EnvError::Invalid(format!("cannot find the volume {volume:?} referenced by FileKeyRef"));
        Ok(file.ok_or_else(missing)?.as_deref())
    }
}

/// Upstream's words for a ConfigMap that is not there.
pub(crate) fn no_config_map(name: &str) -> String {
    format!("configmap {name:?} not found")
}

/// Upstream's words for a Secret that is not there.
pub(crate) fn no_secret(name: &str) -> String {
    format!("secret {name:?} not found")
}

/// Everything that the environment of `container` names.
pub(crate) async fn gather_for_environment<S: ObjectSource>(
    pod: &Pod,
    container: &Container,
    folders: &PodFolders,
    source: &S,
) -> Result<Gathered, EnvError> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut gathered = Gathered {
        own_services: source.services(namespace)?,
        default_services: source.services("default")?,
        ..Gathered::default()
    };
    let names = Names::of(container);
    for name in names.config_maps {
        let found = source.config_map(namespace, name).await?;
        gathered.config_maps.insert(name.to_owned(), found);
    }
    for name in names.secrets {
        let found = source.secret(namespace, name).await?;
        gathered.secrets.insert(name.to_owned(), found);
    }
    for (volume, path) in names.files {
        if let Some(text) = read_file(pod, folders, volume, path)? {
            gathered.files.insert((volume.to_owned(), path.to_owned()), text);
        }
    }
    Ok(gathered)
}

/// What one container's environment names.
#[derive(Default)]
struct Names<'a> {
    config_maps: BTreeSet<&'a str>,
    secrets: BTreeSet<&'a str>,
    files: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Names<'a> {
    fn of(container: &'a Container) -> Self {
        let mut names = Self::default();
        for from in container.env_from.as_deref().unwrap_or_default() {
            names.config_maps.extend(from.config_map_ref.as_ref().map(|it| it.name.as_str()));
            names.secrets.extend(from.secret_ref.as_ref().map(|it| it.name.as_str()));
        }
        let variables = container.env.as_deref().unwrap_or_default();
        for from in variables.iter().filter_map(|variable| variable.value_from.as_ref()) {
            names.config_maps.extend(from.config_map_key_ref.as_ref().map(|it| it.name.as_str()));
            names.secrets.extend(from.secret_key_ref.as_ref().map(|it| it.name.as_str()));
            names
                .files
                .extend(from.file_key_ref.as_ref().map(|it| (it.volume_name.as_str(), it.path.as_str())));
        }
        names
    }
}

/// The outer none: there is no such volume. The inner one: there is no such file in it.
fn read_file(
    pod: &Pod,
    folders: &PodFolders,
    volume: &str,
    path: &str,
) -> Result<Option<Option<String>>, EnvError> {
    let Some(volume) = volume::named(pod, volume) else { return Ok(None) };
    let source = Source::of(volume).map_err(|problem| EnvError::Invalid(problem.to_string()))?;
    match subpath::read(&source.location(folders, &volume.name), path, MAX_ENV_FILE) {
        Ok(text) => Ok(Some(Some(text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(None)),
        Err(error) => {
            tracing::warn!(volume = volume.name, path, %error, "an environment file could not be read");
            Err(EnvError::Invalid("couldn't parse env file".to_owned()))
        }
    }
}

impl From<SourceError> for crate::error::Problem {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}
