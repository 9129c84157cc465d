//! The environment of a container.
//!
//! In: the Pod, the container, the Pod's addresses, objects and Services. Out: variables, each name once, in the order
//! in which they are first named: `envFrom`, `env`, Services. What comes later wins, except Services, which only fill
//! in. Building is pure; fetching what is named goes before it (`gather.rs`).

use std::{borrow::Cow, collections::HashMap, net::IpAddr};

use k8s_openapi::api::core::v1::{Container, EnvFromSource, EnvVar, EnvVarSource, Pod};
use keelson_proto::cri::v1::KeyValue;

use crate::{
    env_file,
    error::EnvError,
    expand::expand_with,
    field,
    folders::PodFolders,
    gather::{Gathered, gather_for_environment},
    node::Node,
    resource_field::resource_field,
    service_variables::service_variables,
    source::ObjectSource,
};

/// What the environment of a container is made of.
#[derive(Clone, Copy)]
struct Context<'a> {
    pod: &'a Pod,
    container: &'a Container,
    pod_addresses: &'a [IpAddr],
    node: &'a Node,
    gathered: &'a Gathered,
}

/// The environment of `container`, to be asked for anew at every start of it.
///
/// # Errors
///
/// If something that is named and not optional does not exist, or could not be asked for. The container waits with
/// reason `CreateContainerConfigError` and the error's text.
pub async fn environment<S: ObjectSource>(
    pod: &Pod,
    container: &Container,
    pod_addresses: &[IpAddr],
    folders: &PodFolders,
    source: &S,
    node: &Node,
) -> Result<Vec<KeyValue>, EnvError> {
    let gathered = gather_for_environment(pod, container, folders, source).await?;
    build(Context { pod, container, pod_addresses, node, gathered: &gathered })
}

fn build(context: Context<'_>) -> Result<Vec<KeyValue>, EnvError> {
    let spec = context.pod.spec.as_ref();
    let links = spec.and_then(|spec| spec.enable_service_links).unwrap_or(true);
    let services =
        service_variables(&context.gathered.own_services, &context.gathered.default_services, links);
    let services: HashMap<&str, &str> =
        services.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut variables = Variables::default();
    for from in context.container.env_from.as_deref().unwrap_or_default() {
        put_all(&mut variables, from, context)?;
    }
    for variable in context.container.env.as_deref().unwrap_or_default() {
        if let Some(value) = value(variable, &variables, &services, context)? {
            variables.put(&variable.name, value);
        }
    }
    let mut services: Vec<(&str, &str)> = services.into_iter().collect();
    services.sort_unstable();
    for (name, value) in services {
        if variables.get(name).is_none() {
            variables.put(name, value.to_owned());
        }
    }
    Ok(variables.list)
}

/// All keys of a ConfigMap or Secret. Any key makes a name: the API has checked that it is printable.
fn put_all(variables: &mut Variables, from: &EnvFromSource, context: Context<'_>) -> Result<(), EnvError> {
    let prefix = from.prefix.as_deref().unwrap_or_default();
    if let Some(reference) = &from.config_map_ref {
        let config_map = context.gathered.config_map(&reference.name, reference.optional)?;
        for (key, value) in config_map.and_then(|it| it.data.as_ref()).into_iter().flatten() {
            variables.put(&format!("{prefix}{key}"), value.clone());
        }
    } else if let Some(reference) = &from.secret_ref {
        let secret = context.gathered.secret(&reference.name, reference.optional)?;
        for (key, value) in secret.and_then(|it| it.data.as_ref()).into_iter().flatten() {
            variables.put(&format!("{prefix}{key}"), text(&value.0, key, &reference.name, context)?);
        }
    }
    Ok(())
}

/// The value of a variable, or none if what it comes from is optional and absent.
fn value(
    variable: &EnvVar,
    before: &Variables,
    services: &HashMap<&str, &str>,
    context: Context<'_>,
) -> Result<Option<String>, EnvError> {
    let literal = variable.value.as_deref().unwrap_or_default();
    match &variable.value_from {
        Some(from) if literal.is_empty() => from_source(from, context),
        _ => Ok(Some(expand_with(literal, |name| {
            let value = before.get(name).or_else(|| services.get(name).copied())?;
            Some(Cow::Owned(value.to_owned()))
        }))),
    }
}

fn from_source(from: &EnvVarSource, context: Context<'_>) -> Result<Option<String>, EnvError> {
    if let Some(selector) = &from.field_ref {
        return field::for_environment(selector, context.pod, context.pod_addresses, context.node)
            .map(Some)
            .map_err(EnvError::Invalid);
    }
    if let Some(selector) = &from.resource_field_ref {
        return resource_field(selector, context.pod, Some(context.container), context.node)
            .map(Some)
            .map_err(EnvError::Invalid);
    }
    if let Some(selector) = &from.config_map_key_ref {
        let config_map = context.gathered.config_map(&selector.name, selector.optional)?;
        let value = config_map.and_then(|it| it.data.as_ref()?.get(&selector.key)).cloned();
        return found(value, selector.optional, || {
            format!(
                "couldn't find key {} in ConfigMap {}/{}",
                selector.key,
                namespace(context),
                selector.name
            )
        });
    }
    if let Some(selector) = &from.secret_key_ref {
        let secret = context.gathered.secret(&selector.name, selector.optional)?;
        let value = secret.and_then(|it| it.data.as_ref()?.get(&selector.key));
        let value = value.map(|value| text(&value.0, &selector.key, &selector.name, context)).transpose()?;
        return found(value, selector.optional, || {
            format!("couldn't find key {} in Secret {}/{}", selector.key, namespace(context), selector.name)
        });
    }
    if let Some(selector) = &from.file_key_ref {
        let file = context.gathered.file(&selector.volume_name, &selector.path)?;
        let value = file.map(|file| env_file::find(file, &selector.key)).transpose();
        let value = value.map_err(|_| EnvError::Invalid("couldn't parse env file".to_owned()))?.flatten();
        return found(value, selector.optional, || {
            format!("environment variable key {:?} not found in file {:?}", selector.key, selector.path)
        });
    }
    Ok(Some(String::new()))
}

fn found(
    value: Option<String>,
    optional: Option<bool>,
    missing: impl FnOnce() -> String,
) -> Result<Option<String>, EnvError> {
    match value {
        Some(value) => Ok(Some(value)),
        None if optional == Some(true) => Ok(None),
        None => Err(EnvError::Missing(missing())),
    }
}

/// The runtime takes text only.
fn text(value: &[u8], key: &str, secret: &str, context: Context<'_>) -> Result<String, EnvError> {
    let text = std::str::from_utf8(value).map(str::to_owned);
    text.map_err(|_| {
        let namespace = namespace(context);
        EnvError::Invalid(format!(
            "key {key} in Secret {namespace}/{secret} is not text, which a variable needs"
        ))
    })
}

fn namespace(context: Context<'_>) -> &str {
    context.pod.metadata.namespace.as_deref().unwrap_or_default()
}

/// Variables in the order in which their names first came up.
#[derive(Default)]
struct Variables {
    list: Vec<KeyValue>,
    places: HashMap<String, usize>,
}

impl Variables {
    fn get(&self, name: &str) -> Option<&str> {
        self.places.get(name).map(|place| self.list[*place].value.as_str())
    }

    fn put(&mut self, name: &str, value: String) {
        match self.places.get(name) {
            Some(place) => self.list[*place].value = value,
            None => {
                self.places.insert(name.to_owned(), self.list.len());
                self.list.push(KeyValue { key: name.to_owned(), value });
            }
        }
    }
}

#[cfg(test)]
mod tests;
