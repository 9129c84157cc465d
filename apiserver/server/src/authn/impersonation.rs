//! One user acting as another, by `Impersonate-*` headers.
//!
//! In: the user whose credentials were good, and the headers. Out: the user to act as, if the first may
//! `impersonate` each part of that: name, groups, uid, extra. Whatever follows sees the second only.
//!
//! Source: `k8s.io/apiserver/pkg/endpoints/filters/impersonation.go`.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use keelson_api_registry::status::ApiError;

use super::{ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, User, service_account};
use crate::authz::{
    Authorizer,
    attributes::{Attributes, Object, ResourceAttributes},
};

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA_PREFIX: &str = "impersonate-extra-";

/// The API group of uids and extras.
const AUTHENTICATION: &str = "authentication.k8s.io";

/// Whom the headers ask for.
#[derive(Debug, Default, PartialEq)]
struct Wish {
    name: String,
    uid: String,
    groups: Vec<String>,
    extra: BTreeMap<String, Vec<String>>,
}

/// The user as whom a request acts: `user` itself where no header says otherwise.
///
/// # Errors
/// 403 where `user` may not, 400 for headers that make no sense together.
pub fn act_as(authorizer: &Authorizer, user: User, headers: &HeaderMap) -> Result<User, ApiError> {
    let Some(wish) = Wish::read(headers)? else { return Ok(user) };
    for part in wish.parts() {
        let asked = Attributes { verb: "impersonate", object: Object::Resource(part) };
        // Whether the user may is all that matters here; the request itself is authorized later.
        let _allowed = authorizer.authorize(&user, &asked)?;
    }
    Ok(wish.grant())
}

impl Wish {
    fn read(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        let mut wish = Self::default();
        for (name, value) in headers {
            wish.add(name, value)?;
        }
        let has_more = !wish.uid.is_empty() || !wish.groups.is_empty() || !wish.extra.is_empty();
        match (wish.name.is_empty(), has_more) {
            (false, _) => Ok(Some(wish)),
            (true, false) => Ok(None),
            (true, true) => {
                Err(ApiError::bad_request("requested a group, uid or extra without impersonating a user"))
            }
        }
    }

    fn add(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), ApiError> {
        let text = || {
            let text = value.to_str().map_err(|_| ApiError::bad_request(format!("{name} is no plain text")));
            text.map(str::to_owned)
        };
        match name.as_str() {
            USER => self.name = text()?,
            UID => self.uid = text()?,
            GROUP => self.groups.push(text()?),
            other => {
                if let Some(key) = other.strip_prefix(EXTRA_PREFIX) {
                    self.extra.entry(unescape(key)).or_default().push(text()?);
                }
            }
        }
        Ok(())
    }

    /// What one must be allowed to impersonate.
    fn parts(&self) -> Vec<ResourceAttributes<'_>> {
        let part = |group, resource, name| ResourceAttributes { group, resource, name, ..Default::default() };
        let mut parts = vec![match service_account::split_user_name(&self.name) {
            Some((namespace, name)) => ResourceAttributes { namespace, ..part("", "serviceaccounts", name) },
            None => part("", "users", &self.name),
        }];
        parts.extend(self.groups.iter().map(|group| part("", "groups", group)));
        if !self.uid.is_empty() {
            parts.push(part(AUTHENTICATION, "uids", &self.uid));
        }
        for (key, values) in &self.extra {
            let extra = values.iter().map(|value| part(AUTHENTICATION, "userextras", value));
            parts.extend(extra.map(|extra| ResourceAttributes { subresource: key, ..extra }));
        }
        parts
    }

    fn grant(self) -> User {
        let Self { name, uid, mut groups, extra } = self;
        if groups.is_empty()
            && let Some((namespace, _)) = service_account::split_user_name(&name)
        {
            groups = service_account::groups(namespace);
        }
        let kind = if name == ANONYMOUS { UNAUTHENTICATED } else { AUTHENTICATED };
        if !groups.iter().any(|group| group == AUTHENTICATED || group == UNAUTHENTICATED) {
            groups.push(kind.to_owned());
        }
        User { name, uid, groups, extra }
    }
}

/// Keys of extras may hold what headers may not: `example.com%2fscope`.
fn unescape(key: &str) -> String {
    percent_encoding::percent_decode_str(key).decode_utf8().map_or_else(|_| key.to_owned(), Into::into)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::authz::{MASTERS, policy};

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair =
            |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    fn master() -> User {
        User { name: "root".into(), groups: vec![MASTERS.into()], ..User::default() }
    }

    #[test]
    fn without_headers_everybody_is_themselves() {
        assert_eq!(act_as(&Authorizer::default(), master(), &HeaderMap::new()), Ok(master()));
    }

    #[test]
    fn the_one_acted_as_has_what_was_asked_for_and_nothing_of_the_first() {
        let headers = headers(&[
            ("Impersonate-User", "jane"),
            ("Impersonate-Group", "ops"),
            ("Impersonate-Uid", "7"),
            ("Impersonate-Extra-Example.com%2fScope", "read"),
        ]);
        let jane = act_as(&Authorizer::default(), master(), &headers).unwrap();
        assert_eq!(jane.groups, ["ops", AUTHENTICATED]);
        assert_eq!((jane.name.as_str(), jane.uid.as_str()), ("jane", "7"));
        assert_eq!(jane.extra, BTreeMap::from([("example.com/scope".into(), vec!["read".into()])]));
    }

    #[test]
    fn service_accounts_get_their_groups() {
        let headers = headers(&[("Impersonate-User", "system:serviceaccount:shop:till")]);
        let till = act_as(&Authorizer::default(), master(), &headers).unwrap();
        assert_eq!(till.groups, ["system:serviceaccounts", "system:serviceaccounts:shop", AUTHENTICATED]);
    }

    #[test]
    fn each_part_needs_permission() {
        let rules = json!([{"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"]}]);
        let role = policy::Role::parse(&json!({"metadata": {"name": "act"}, "rules": rules}));
        let binding = policy::Binding::parse(&json!({
            "metadata": {"name": "act"},
            "roleRef": {"kind": "ClusterRole", "name": "act"},
            "subjects": [{"kind": "User", "name": "helper"}],
        }));
        let authorizer = Authorizer::default();
        authorizer.set_policy(policy::Policy::new([role.into()], [&binding]));
        let helper = || User { name: "helper".into(), ..User::default() };
        let jane = headers(&[("Impersonate-User", "jane")]);
        assert_eq!(act_as(&authorizer, helper(), &jane).unwrap().name, "jane");
        let master = headers(&[("Impersonate-User", "jane"), ("Impersonate-Group", MASTERS)]);
        let refused = act_as(&authorizer, helper(), &master).unwrap_err();
        assert_eq!(
            refused.message,
            "groups \"system:masters\" is forbidden: User \"helper\" cannot impersonate resource \"groups\" \
             in API group \"\" at the cluster scope"
        );
    }

    #[test]
    fn groups_without_a_user_make_no_sense() {
        let refused = act_as(&Authorizer::default(), master(), &headers(&[("Impersonate-Group", "a")]));
        assert_eq!(refused.unwrap_err().code, 400);
    }
}
