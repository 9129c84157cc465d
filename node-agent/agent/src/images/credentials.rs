//! What registries ask for, from a pod's image pull secrets. Pure.
//!
//! In: Secrets of the types `kubernetes.io/dockerconfigjson` and `kubernetes.io/dockercfg`. Out: the credentials for one
//! image, the most particular first. Passwords never reach a log: nothing here implements `Debug` with them in it.

use k8s_openapi::api::core::v1::Secret;
use keelson_proto::cri::v1::AuthConfig;
use serde_json::{Map, Value};

use super::reference;

/// The key of a Secret, and where in its JSON the registries are listed.
const FORMS: [(&str, Option<&str>); 2] = [(".dockerconfigjson", Some("auths")), (".dockercfg", None)];

/// Under which names credentials for Docker's registry are kept.
const DOCKER_HUB: [&str; 2] = ["index.docker.io", "docker.io"];

/// The credentials in `secrets` that fit `image`, to be tried in this order.
pub(crate) fn for_image(image: &str, secrets: &[&Secret]) -> Vec<AuthConfig> {
    let place = reference::place(image);
    let entries = secrets.iter().flat_map(|secret| entries(secret));
    let mut fitting: Vec<(usize, AuthConfig)> = entries
        .filter_map(|(key, value)| {
            let scope = scope(&key);
            fits(&scope, &place).then(|| (scope.len(), auth(&scope, &value)))
        })
        .collect();
    fitting.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    fitting.into_iter().map(|(_, auth)| auth).collect()
}

fn entries(secret: &Secret) -> Map<String, Value> {
    let data = secret.data.as_ref();
    let parsed = FORMS.iter().find_map(|(key, inside)| {
        let bytes = &data?.get(*key)?.0;
        let mut value: Value = serde_json::from_slice(bytes).ok()?;
        match inside {
            Some(inside) => Some(value.get_mut(inside)?.take()),
            None => Some(value),
        }
    });
    match parsed {
        Some(Value::Object(entries)) => entries,
        Some(_) | None => Map::new(),
    }
}

/// What a key covers: registry and path, without scheme and API version.
fn scope(key: &str) -> String {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let bare = bare.trim_end_matches('/');
    let bare = bare.strip_suffix("/v1").or_else(|| bare.strip_suffix("/v2")).unwrap_or(bare);
    match bare.split_once('/') {
        None if DOCKER_HUB.contains(&bare) => DOCKER_HUB[1].to_owned(),
        Some((registry, path)) if DOCKER_HUB.contains(&registry) => format!("{}/{path}", DOCKER_HUB[1]),
        Some(_) | None => bare.to_owned(),
    }
}

/// Whether a scope covers an image: the same registry (`*` stands for one label of it), and a path that leads to it.
fn fits(scope: &str, place: &str) -> bool {
    let (registry, path) = scope.split_once('/').unwrap_or((scope, ""));
    let (image_registry, image_path) = place.split_once('/').unwrap_or((place, ""));
    let (labels, image_labels) = (registry.split('.'), image_registry.split('.'));
    let is_registry = labels.clone().count() == image_labels.clone().count()
        && labels.zip(image_labels).all(|(label, image_label)| label == "*" || label == image_label);
    let is_below = path.is_empty()
        || image_path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    is_registry && is_below
}

fn auth(scope: &str, value: &Value) -> AuthConfig {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    AuthConfig {
        username: text("username"),
        password: text("password"),
        auth: text("auth"),
        identity_token: text("identitytoken"),
        registry_token: text("registrytoken"),
        server_address: scope.split('/').next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use serde_json::json;

    use super::*;

    fn secret(key: &str, value: &Value) -> Secret {
        let data = [(key.to_owned(), ByteString(value.to_string().into_bytes()))].into();
        Secret { data: Some(data), ..Secret::default() }
    }

    fn users(image: &str, auths: &Value) -> Vec<String> {
        let secret = secret(".dockerconfigjson", &json!({"auths": auths}));
        for_image(image, &[&secret]).into_iter().map(|auth| auth.username).collect()
    }

    #[test]
    fn the_most_particular_credentials_come_first() {
        let auths = json!({
            "quay.io": {"username": "all"},
            "quay.io/team": {"username": "team"},
            "quay.io/teamwork": {"username": "other path"},
            "example.com": {"username": "other registry"},
        });
        assert_eq!(users("quay.io/team/app:v1", &auths), ["team", "all"]);
        assert_eq!(users("quay.io/else", &auths), ["all"]);
        assert_eq!(users("busybox", &auths), [] as [&str; 0]);
    }

    #[test]
    fn dockers_registry_has_several_names_and_hosts_may_have_wildcards() {
        let auths =
            json!({"https://index.docker.io/v1/": {"username": "hub"}, "*.example.com": {"username": "any"}});
        assert_eq!(users("busybox", &auths), ["hub"]);
        assert_eq!(users("a.example.com/x", &auths), ["any"]);
        assert_eq!(users("a.b.example.com/x", &auths), [] as [&str; 0]);
    }

    #[test]
    fn the_old_form_is_read_and_nonsense_is_not() {
        let old = secret(".dockercfg", &json!({"quay.io": {"auth": "dTpw"}}));
        assert_eq!(for_image("quay.io/x", &[&old])[0].auth, "dTpw");
        for nonsense in [json!([1]), json!("x"), json!({"auths": 1})] {
            assert!(for_image("quay.io/x", &[&secret(".dockerconfigjson", &nonsense)]).is_empty());
        }
        assert!(for_image("quay.io/x", &[&Secret::default()]).is_empty());
    }
}
