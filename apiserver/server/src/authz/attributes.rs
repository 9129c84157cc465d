//! What is asked for, in the words in which rules are written, and the text of a refusal.

use http::Method;
use keelson_api_registry::{
    request::{RequestInfo, Target},
    status::ApiError,
};
use keelson_api_schema::selector::FieldSelector;

use crate::authn::User;

/// What a user wants to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes<'a> {
    /// `list`, `impersonate`; for paths the HTTP method in lower case.
    pub verb: &'a str,
    /// To what.
    pub object: Object<'a>,
}

/// What something is wanted of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object<'a> {
    /// A resource, or one object of it.
    Resource(ResourceAttributes<'a>),
    /// A path that is no resource.
    Path(&'a str),
}

/// A resource, or one object of it. What is empty is not meant: no name means the collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceAttributes<'a> {
    /// The API group; empty for the core group.
    pub group: &'a str,
    /// The plural.
    pub resource: &'a str,
    /// What below the object.
    pub subresource: &'a str,
    /// The namespace; empty at the cluster scope.
    pub namespace: &'a str,
    /// The object's name.
    pub name: &'a str,
    /// What a collection is narrowed to by its objects' fields.
    pub selector: Option<&'a FieldSelector>,
}

/// What a request says of itself in words that its path does not have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The HTTP method in lower case, which is the verb of rules about paths.
    method: String,
    /// The request's field selector.
    selector: Option<FieldSelector>,
}

impl Words {
    /// The words of a request.
    pub fn of(method: &Method, info: &RequestInfo) -> Self {
        // Parsed in earnest: a quoted comma must not look like the end of a term. What cannot be parsed is refused
        // later, by whoever selects.
        let selector = info.parameter("fieldSelector").and_then(|text| FieldSelector::parse(text).ok());
        Self { method: method.as_str().to_ascii_lowercase(), selector }
    }

    /// The one name that a collection is narrowed to, if it is: whoever may see the object of that name may also list
    /// and watch it alone.
    fn selected_name(&self) -> &str {
        let required = self.selector.as_ref().and_then(|selector| selector.required("metadata.name"));
        required.unwrap_or_default()
    }
}

impl<'a> Attributes<'a> {
    /// What a request asks for.
    pub fn of(info: &'a RequestInfo, words: &'a Words) -> Self {
        match &info.target {
            Target::Path => Self { verb: &words.method, object: Object::Path(&info.path) },
            Target::Resource(request) => {
                let is_namespace =
                    request.resource.group.is_empty() && request.resource.plural == "namespaces";
                Self {
                    verb: request.verb.name(),
                    object: Object::Resource(ResourceAttributes {
                        group: request.resource.group,
                        resource: request.resource.plural,
                        subresource: request.subresource.map_or("", |subresource| subresource.name),
                        // Upstream takes a namespace as living in itself, so that a Role in it can allow it.
                        namespace: if is_namespace { &request.name } else { &request.namespace },
                        name: if request.name.is_empty() { words.selected_name() } else { &request.name },
                        selector: words.selector.as_ref(),
                    }),
                }
            }
        }
    }

    /// The refusal as upstream words it. `reason` may be empty.
    pub fn forbidden(&self, user: &User, reason: &str) -> ApiError {
        let mut why = escape(&self.refusal(user));
        if !reason.is_empty() {
            why = format!("{why}: {reason}");
        }
        let Object::Resource(asked) = &self.object else {
            return ApiError::forbidden(format!("forbidden: {why}"));
        };
        let qualified = match asked.group {
            "" => asked.resource.to_owned(),
            group => format!("{}.{group}", asked.resource),
        };
        let message = match asked.name {
            "" => format!("{qualified} is forbidden: {why}"),
            name => format!("{qualified} {name:?} is forbidden: {why}"),
        };
        ApiError::forbidden(message).about(asked.group, asked.resource, asked.name)
    }

    fn refusal(&self, user: &User) -> String {
        let (name, verb) = (&user.name, self.verb);
        let asked = match &self.object {
            Object::Path(path) => return format!("User {name:?} cannot {verb} path {path:?}"),
            Object::Resource(asked) => asked,
        };
        let what = format!(
            "User {name:?} cannot {verb} resource {:?} in API group {:?}",
            asked.combined(),
            asked.group
        );
        match asked.namespace {
            "" => format!("{what} at the cluster scope"),
            namespace => format!("{what} in the namespace {namespace:?}"),
        }
    }
}

impl ResourceAttributes<'_> {
    /// `pods`, `pods/log`.
    pub fn combined(&self) -> String {
        match self.subresource {
            "" => self.resource.to_owned(),
            below => format!("{}/{below}", self.resource),
        }
    }
}

/// A user's name ends up in a text that a browser might show.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(attributes: &Attributes<'_>) -> String {
        let user = User { name: "x".into(), ..User::default() };
        attributes.forbidden(&user, "").message
    }

    #[test]
    fn refusals_read_as_upstreams() {
        let pods = ResourceAttributes { resource: "pods", namespace: "y", ..Default::default() };
        let asked = Attributes { verb: "list", object: Object::Resource(pods.clone()) };
        assert_eq!(
            refusal(&asked),
            r#"pods is forbidden: User "x" cannot list resource "pods" in API group "" in the namespace "y""#
        );
        let log = ResourceAttributes { subresource: "log", name: "web", namespace: "", ..pods };
        let asked = Attributes { verb: "get", object: Object::Resource(log) };
        assert_eq!(
            refusal(&asked),
            r#"pods "web" is forbidden: User "x" cannot get resource "pods/log" in API group "" at the cluster scope"#
        );
        let path = Attributes { verb: "get", object: Object::Path("/y") };
        assert_eq!(refusal(&path), r#"forbidden: User "x" cannot get path "/y""#);
    }

    fn name_asked_for(uri: &str) -> String {
        let info = RequestInfo::parse(&Method::GET, &uri.parse().unwrap()).unwrap();
        let words = Words::of(&Method::GET, &info);
        match Attributes::of(&info, &words).object {
            Object::Resource(asked) => asked.name.to_owned(),
            Object::Path(path) => panic!("{path} is a resource"),
        }
    }

    #[test]
    fn a_collection_narrowed_to_one_name_is_asked_for_by_that_name() {
        let list = "/api/v1/namespaces/a/secrets";
        assert_eq!(name_asked_for(&format!("{list}/own")), "own");
        assert_eq!(name_asked_for(list), "");
        assert_eq!(name_asked_for(&format!("{list}?fieldSelector=metadata.name%3Dmine")), "mine");
        assert_eq!(
            name_asked_for(&format!("{list}?watch=1&fieldSelector=type%3Da,metadata.name%3D%3Dmine")),
            "mine"
        );
        // None of these narrows to one name, whatever they look like.
        for wider in ["metadata.name!%3Dmine", "type!%3D%5C,metadata.name%3Dmine", "metadata.name", "%3D,"] {
            assert_eq!(name_asked_for(&format!("{list}?fieldSelector={wider}")), "", "{wider}");
        }
    }

    #[test]
    fn refusals_name_the_group_and_the_reason_and_cannot_carry_markup() {
        let roles = ResourceAttributes {
            group: "rbac.authorization.k8s.io",
            resource: "roles",
            ..Default::default()
        };
        let user = User { name: "<b>".into(), ..User::default() };
        let refused =
            Attributes { verb: "list", object: Object::Resource(roles) }.forbidden(&user, "because");
        assert_eq!(
            refused.message,
            "roles.rbac.authorization.k8s.io is forbidden: User \"&lt;b&gt;\" cannot list resource \"roles\" \
             in API group \"rbac.authorization.k8s.io\" at the cluster scope: because"
        );
        assert_eq!(refused.details.kind, "roles");
    }
}
