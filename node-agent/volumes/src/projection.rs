//! What is in a volume: objects projected to files. Pure.
//!
//! In: a volume's source and the objects that it names. Out: a tree of files, or everything that is wrong.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::core::v1::{
    ConfigMap, DownwardAPIVolumeFile, KeyToPath, Pod, ProjectedVolumeSource, Secret,
    ServiceAccountTokenProjection, VolumeProjection,
};

use crate::{
    container::{common_user, fs_group},
    error::{Problem, SourceError},
    field,
    gather::{no_config_map, no_secret},
    node::Node,
    path,
    resource_field::resource_field,
    token::TokenRequest,
    volume::Source,
};

/// Files by their paths below the volume, each in its shortest form.
pub(crate) type Files = BTreeMap<String, File>;

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) data: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) owner: Option<u32>,
}

/// The objects that a volume names: for each, itself, that there is none, or why nobody knows.
#[derive(Default)]
pub(crate) struct Named {
    pub(crate) config_maps: BTreeMap<String, Result<Option<Arc<ConfigMap>>, SourceError>>,
    pub(crate) secrets: BTreeMap<String, Result<Option<Arc<Secret>>, SourceError>>,
    pub(crate) tokens: BTreeMap<TokenRequest, Result<String, SourceError>>,
}

/// A mode that the API has left out.
const DEFAULT_MODE: i32 = 0o644;

/// A token that one user or group alone may read.
const TOKEN_MODE: u32 = 0o600;

/// The files of a volume whose contents come from the API; none for others.
pub(crate) fn files(source: &Source<'_>, pod: &Pod, node: &Node, named: &Named) -> Result<Files, Problem> {
    let files = match source {
        Source::ConfigMap(source) => {
            let items = Items::new(source.items.as_deref(), source.default_mode, source.optional);
            items.of_config_map(&source.name, named)?
        }
        Source::Secret(source) => {
            let items = Items::new(source.items.as_deref(), source.default_mode, source.optional);
            items.of_secret(source.secret_name.as_deref().unwrap_or_default(), named)?
        }
        Source::DownwardApi(source) => {
            let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
            of_downward_api(source.items.as_deref().unwrap_or_default(), mode, pod, node)?
        }
        Source::Projected(source) => of_projected(source, pod, node, named)?,
        Source::EmptyDir { .. } | Source::HostPath(_) => Files::new(),
    };
    no_file_below_a_file(&files)?;
    Ok(files)
}

fn of_projected(
    source: &ProjectedVolumeSource,
    pod: &Pod,
    node: &Node,
    named: &Named,
) -> Result<Files, Problem> {
    let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
    let (mut files, mut problems) = (Files::new(), Vec::new());
    for projection in source.sources.as_deref().unwrap_or_default() {
        match of_projection(projection, mode, pod, node, named) {
            Ok(more) => files.extend(more),
            Err(problem) => problems.push(problem),
        }
    }
    Problem::aggregate(problems).map_or(Ok(files), Err)
}

fn of_projection(
    projection: &VolumeProjection,
    mode: i32,
    pod: &Pod,
    node: &Node,
    named: &Named,
) -> Result<Files, Problem> {
    if let Some(source) = &projection.secret {
        return Items::new(source.items.as_deref(), Some(mode), source.optional)
            .of_secret(&source.name, named);
    }
    if let Some(source) = &projection.config_map {
        return Items::new(source.items.as_deref(), Some(mode), source.optional)
            .of_config_map(&source.name, named);
    }
    if let Some(source) = &projection.downward_api {
        return of_downward_api(source.items.as_deref().unwrap_or_default(), mode, pod, node);
    }
    if let Some(source) = &projection.service_account_token {
        return of_token(source, mode, pod, named);
    }
    let unsupported = match projection {
        it if it.cluster_trust_bundle.is_some() => "clusterTrustBundle",
        it if it.pod_certificate.is_some() => "podCertificate",
        _ => return Ok(Files::new()),
    };
    Err(Problem::Unsupported(format!("projected volume sources of type {unsupported} are not supported yet")))
}

/// Which keys of an object become which files.
struct Items<'a> {
    items: &'a [KeyToPath],
    mode: i32,
    optional: bool,
}

impl<'a> Items<'a> {
    fn new(items: Option<&'a [KeyToPath]>, mode: Option<i32>, optional: Option<bool>) -> Self {
        let items = items.unwrap_or_default();
        Self { items, mode: mode.unwrap_or(DEFAULT_MODE), optional: optional == Some(true) }
    }

    fn of_config_map(&self, name: &str, named: &Named) -> Result<Files, Problem> {
        let Some(object) = self.object(named.config_maps.get(name), || no_config_map(name))? else {
            return Ok(Files::new());
        };
        let text = object.data.iter().flatten().map(|(key, value)| (key.as_str(), value.as_bytes()));
        let binary =
            object.binary_data.iter().flatten().map(|(key, value)| (key.as_str(), value.0.as_slice()));
        self.of_data(&text.chain(binary).collect(), "configmap references non-existent config key")
    }

    fn of_secret(&self, name: &str, named: &Named) -> Result<Files, Problem> {
        let Some(object) = self.object(named.secrets.get(name), || no_secret(name))? else {
            return Ok(Files::new());
        };
        let data = object.data.iter().flatten().map(|(key, value)| (key.as_str(), value.0.as_slice()));
        self.of_data(&data.collect(), "references non-existent secret key")
    }

    /// The object; none if it is not there and need not be.
    fn object<'b, T>(
        &self,
        found: Option<&'b Result<Option<Arc<T>>, SourceError>>,
        missing: impl FnOnce() -> String,
    ) -> Result<Option<&'b T>, Problem> {
        match found {
            Some(Err(error)) => Err(error.clone().into()),
            Some(Ok(Some(object))) => Ok(Some(object)),
            Some(Ok(None)) | None if self.optional => Ok(None),
            Some(Ok(None)) | None => Err(Problem::Missing(missing())),
        }
    }

    fn of_data(&self, data: &BTreeMap<&str, &[u8]>, missing: &str) -> Result<Files, Problem> {
        let mut files = Files::new();
        if self.items.is_empty() {
            for (key, value) in data {
                put(&mut files, key, value.to_vec(), self.mode)?;
            }
        }
        for item in self.items {
            match data.get(item.key.as_str()) {
                Some(value) => put(&mut files, &item.path, value.to_vec(), item.mode.unwrap_or(self.mode))?,
                None if self.optional => {}
                None => return Err(Problem::Missing(format!("{missing}: {}", item.key))),
            }
        }
        Ok(files)
    }
}

fn of_downward_api(
    items: &[DownwardAPIVolumeFile],
    mode: i32,
    pod: &Pod,
    node: &Node,
) -> Result<Files, Problem> {
    let (mut files, mut problems) = (Files::new(), Vec::new());
    for item in items {
        let value = match (&item.field_ref, &item.resource_field_ref) {
            (Some(selector), _) => field::of_metadata(&selector.field_path, pod),
            (None, Some(selector)) => resource_field(selector, pod, None, node),
            (None, None) => Ok(String::new()),
        };
        let put = value
            .map_err(Problem::Invalid)
            .and_then(|value| put(&mut files, &item.path, value.into_bytes(), item.mode.unwrap_or(mode)));
        problems.extend(put.err());
    }
    Problem::aggregate(problems).map_or(Ok(files), Err)
}

/// Only whom the Pod runs as may read a token, as far as the Pod says who that is.
fn of_token(
    source: &ServiceAccountTokenProjection,
    mode: i32,
    pod: &Pod,
    named: &Named,
) -> Result<Files, Problem> {
    let owner = common_user(pod);
    let private = owner.is_some() || fs_group(pod).is_some();
    let mode = if private { TOKEN_MODE } else { bits(mode) };
    let token = match named.tokens.get(&TokenRequest::of(source)) {
        Some(token) => token.clone()?,
        None => return Err(SourceError::Unavailable("the token has not been asked for".to_owned()).into()),
    };
    let path = path::projected(&source.path).map_err(Problem::Invalid)?;
    Ok([(path, File { data: token.into_bytes(), mode, owner })].into())
}

fn put(files: &mut Files, path: &str, data: Vec<u8>, mode: i32) -> Result<(), Problem> {
    let path = path::projected(path).map_err(Problem::Invalid)?;
    files.insert(path, File { data, mode: bits(mode), owner: None });
    Ok(())
}

fn bits(mode: i32) -> u32 {
    mode.cast_unsigned() & 0o777
}

fn no_file_below_a_file(files: &Files) -> Result<(), Problem> {
    for path in files.keys() {
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        if let Some(file) = above.into_iter().find(|above| files.contains_key(*above)) {
            return Err(Problem::Invalid(format!("invalid path: {path} lies below the file {file}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
