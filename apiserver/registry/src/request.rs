//! What a request asks, parsed once from its method, path and query.
//!
//! In: the request's head. Out: a [`RequestInfo`] that authorization, admission and handlers share; nobody
//! parses the path again.

use http::Method;

use crate::{
    resources::{self, ResourceInfo, Subresource, Verb},
    status::ApiError,
};

/// What a request asks.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// What it is about.
    pub target: Target,
    /// The method: what is passed on to somebody else keeps it.
    pub method: Method,
    /// The raw path.
    pub path: String,
    /// Query parameters in order, decoded.
    pub query: Vec<(String, String)>,
}

/// What a request is about.
#[derive(Clone)]
pub enum Target {
    /// A path that is no resource: `/version`, `/healthz`, `/apis`, `/openapi/v3`.
    Path,
    /// A resource of the table.
    Resource(ResourceRequest),
}

/// A request to a resource.
#[derive(Clone)]
pub struct ResourceRequest {
    /// Which.
    pub resource: &'static ResourceInfo,
    /// In which namespace; empty for cluster-wide resources, and for all namespaces.
    pub namespace: String,
    /// Which object; empty for the collection.
    pub name: String,
    /// What below the object.
    pub subresource: Option<&'static Subresource>,
    /// What is to be done.
    pub verb: Verb,
}

impl RequestInfo {
    /// Parses a request's head.
    ///
    /// # Errors
    /// 404 for a resource that does not exist, 405 for one that does not do that.
    pub fn parse(method: &Method, uri: &http::Uri) -> Result<Self, ApiError> {
        let mut query = parse_query(uri.query().unwrap_or_default());
        let path = uri.path().to_owned();
        let segments = segments(&path);
        let target = match route(&segments)? {
            None => Target::Path,
            Some(route) => Target::Resource(route.written_as_query(&mut query).request(method, &query)?),
        };
        Ok(Self { target, method: method.clone(), path, query })
    }

    /// The first value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a boolean query parameter is set. It is by anything but `0` and `false`, by nothing at all too.
    pub fn flag(&self, name: &str) -> bool {
        self.parameter(name).is_some_and(is_set)
    }

    /// Whether indented JSON is wanted; `None` where nothing is said. Not a [`Self::flag`]: only what says yes counts.
    pub fn pretty(&self) -> Option<bool> {
        let wish = self.parameter("pretty").filter(|wish| !wish.is_empty())?;
        Some(matches!(wish, "1" | "t" | "T" | "true" | "TRUE" | "True"))
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path => f.write_str("Path"),
            Self::Resource(request) => f
                .debug_struct("Resource")
                .field("resource", &request.resource.qualified())
                .field("namespace", &request.namespace)
                .field("name", &request.name)
                .field("subresource", &request.subresource.map(|sub| sub.name))
                .field("verb", &request.verb)
                .finish(),
        }
    }
}

/// A resource path, taken apart.
struct Route {
    resource: &'static ResourceInfo,
    namespace: String,
    name: String,
    subresource: Option<&'static Subresource>,
    /// `/watch/` stands before the resource: the way to watch before there was a parameter for it.
    is_watch: bool,
}

impl Route {
    /// Whether the request is passed on, whatever it asks.
    fn is_proxy(&self) -> bool {
        self.subresource.is_some_and(|below| below.name == "proxy")
    }

    /// The same with what `/watch/` means in the query.
    fn written_as_query(mut self, query: &mut Vec<(String, String)>) -> Self {
        if self.is_watch {
            // The first parameter of a name counts.
            query.insert(0, ("watch".to_owned(), "true".to_owned()));
            if !self.name.is_empty() {
                let only = format!("metadata.name={}", std::mem::take(&mut self.name));
                query.insert(0, ("fieldSelector".to_owned(), only));
            }
        }
        self
    }

    fn request(self, method: &Method, query: &[(String, String)]) -> Result<ResourceRequest, ApiError> {
        let watching = query.iter().find(|(key, _)| key == "watch").is_some_and(|(_, value)| is_set(value));
        let collection = self.name.is_empty();
        let verb = match method.as_str() {
            "GET" | "HEAD" if collection && watching => Verb::Watch,
            "GET" | "HEAD" if collection => Verb::List,
            "GET" | "HEAD" => Verb::Get,
            "OPTIONS" if self.is_proxy() => Verb::Get,
            "POST" => Verb::Create,
            "PUT" => Verb::Update,
            "PATCH" => Verb::Patch,
            "DELETE" if collection => Verb::DeleteCollection,
            "DELETE" => Verb::Delete,
            _ => return Err(not_allowed()),
        };
        let verbs = self.subresource.map_or(self.resource.verbs, |sub| sub.verbs);
        let misplaced = match verb {
            Verb::Create => !collection && self.subresource.is_none(),
            Verb::Update | Verb::Patch => collection,
            Verb::Delete | Verb::DeleteCollection | Verb::Get | Verb::List | Verb::Watch => false,
        };
        // A collection over all namespaces can only be looked at.
        let everywhere = self.resource.is_namespaced() && self.namespace.is_empty();
        let homeless = everywhere
            && !matches!(verb, Verb::List | Verb::Watch | Verb::Get)
            && self.resource.can(Verb::List);
        if misplaced || homeless || !verbs.contains(&verb) || (self.is_watch && verb != Verb::Watch) {
            return Err(not_allowed());
        }
        let Self { resource, namespace, name, subresource, .. } = self;
        Ok(ResourceRequest { resource, namespace, name, subresource, verb })
    }
}

/// Upstream's answer to a method that a path does not have.
fn not_allowed() -> ApiError {
    let text = "the server does not allow this method on the requested resource";
    ApiError::new(http::StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", text).with_details()
}

/// Takes a resource path apart. `None` when it is none: discovery, health, and so on.
fn route(segments: &[String]) -> Result<Option<Route>, ApiError> {
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (group, version, rest) = match segments.as_slice() {
        ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
        ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
        _ => return Ok(None),
    };
    let (is_watch, rest) = match rest {
        ["watch", rest @ ..] if !rest.is_empty() => (true, rest),
        rest => (false, rest),
    };
    let (namespace, rest) = match rest {
        ["namespaces", namespace, rest @ ..] if is_below_namespace(group, rest) => (*namespace, rest),
        rest => ("", rest),
    };
    let (plural, name, below) = match rest {
        [plural] => (*plural, "", None),
        [plural, name] => (*plural, *name, None),
        [plural, name, below] if !is_watch => (*plural, *name, Some(*below)),
        // What follows is somebody else's path.
        [plural, name, "proxy", ..] if !is_watch => (*plural, *name, Some("proxy")),
        _ => return Err(ApiError::no_such_path()),
    };
    let resource = resources::find(group, version, plural).ok_or_else(ApiError::no_such_path)?;
    if !namespace.is_empty() && !resource.is_namespaced() {
        return Err(ApiError::no_such_path());
    }
    let subresource = match below {
        None => None,
        Some(below) => {
            let found = resource.subresources.iter().find(|sub| sub.name == below);
            Some(found.ok_or_else(ApiError::no_such_path)?)
        }
    };
    let (namespace, name) = (namespace.to_owned(), name.to_owned());
    Ok(Some(Route { resource, namespace, name, subresource, is_watch }))
}

/// Whether `/namespaces/<name>/<rest>` speaks of something inside the namespace, not of the namespace itself.
fn is_below_namespace(group: &str, rest: &[&str]) -> bool {
    match rest {
        [] => false,
        [only] => !group.is_empty() || !matches!(*only, "status" | "finalize"),
        _ => true,
    }
}

/// The parts of a path. An escaped slash is one: upstream takes the path apart only after it has unescaped it.
fn segments(path: &str) -> Vec<String> {
    let path = unescape(path);
    path.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
}

/// The parameters. As Go does it, those that cannot be read are left out, and so are those with a semicolon, which
/// some take for an ampersand.
fn parse_query(query: &str) -> Vec<(String, String)> {
    let pairs =
        query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';') && is_well_formed(pair));
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (unescape(&key.replace('+', " ")), unescape(&value.replace('+', " ")))
        })
        .collect()
}

/// Bytes that are no text become a character that no name has.
fn unescape(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Whether every `%` of a path or a query is followed by two hexadecimal digits. What speaks HTTP refuses a path that is
/// not, before anybody asks what it means.
pub fn is_well_formed(text: &str) -> bool {
    let digits = |after: &str| after.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    text.split('%').skip(1).all(digits)
}

fn is_set(text: &str) -> bool {
    text != "0" && !text.eq_ignore_ascii_case("false")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: &str, uri: &str) -> Result<RequestInfo, ApiError> {
        RequestInfo::parse(&method.parse().unwrap(), &uri.parse().unwrap())
    }

    fn resource(method: &str, uri: &str) -> ResourceRequest {
        match parse(method, uri).unwrap().target {
            Target::Resource(request) => request,
            Target::Path => panic!("{uri} is a resource"),
        }
    }

    #[test]
    fn paths_become_resources_and_verbs() {
        let list = resource("GET", "/api/v1/pods");
        assert_eq!((list.resource.plural, list.verb), ("pods", Verb::List));
        let get = resource("GET", "/api/v1/namespaces/shop/pods/web-1");
        assert_eq!((get.namespace.as_str(), get.name.as_str(), get.verb), ("shop", "web-1", Verb::Get));
        let namespace = resource("GET", "/api/v1/namespaces/shop");
        assert_eq!((namespace.resource.plural, namespace.name.as_str()), ("namespaces", "shop"));
        let status = resource("PUT", "/api/v1/namespaces/shop/status");
        assert_eq!(
            (status.resource.plural, status.subresource.map(|s| s.name)),
            ("namespaces", Some("status"))
        );
        let watch = resource("GET", "/apis/apps/v1/namespaces/shop/deployments?watch=true");
        assert_eq!((watch.resource.kind, watch.verb), ("Deployment", Verb::Watch));
    }

    #[test]
    fn what_is_no_resource_is_left_alone_and_what_does_not_exist_is_not_found() {
        for path in ["/version", "/api", "/apis/apps/v1", "/healthz", "/"] {
            assert!(matches!(parse("GET", path).unwrap().target, Target::Path), "{path}");
        }
        for path in ["/api/v1/nothings", "/apis/apps/v9/deployments", "/api/v1/namespaces/a/nodes"] {
            assert_eq!(parse("GET", path).unwrap_err().code, 404, "{path}");
        }
        assert_eq!(parse("POST", "/api/v1/namespaces/a/pods/b").unwrap_err().code, 405);
        assert_eq!(parse("PUT", "/api/v1/namespaces/a/pods").unwrap_err().code, 405);
    }

    #[test]
    fn the_older_way_to_watch_is_the_newer_one() {
        for (path, namespace, name) in [
            ("/api/v1/watch/pods", "", None),
            ("/api/v1/watch/namespaces", "", None),
            ("/api/v1/watch/namespaces/shop", "", Some("metadata.name=shop")),
            ("/apis/apps/v1/watch/namespaces/shop/deployments", "shop", None),
            ("/api/v1/watch/namespaces/shop/pods/web", "shop", Some("metadata.name=web")),
        ] {
            let info = parse("GET", path).unwrap();
            let Target::Resource(request) = &info.target else { panic!("{path} is a resource") };
            let found = (request.verb, request.namespace.as_str(), request.name.as_str());
            assert_eq!(found, (Verb::Watch, namespace, ""), "{path}");
            assert_eq!(info.parameter("fieldSelector"), name, "{path}");
        }
        for method in ["DELETE", "POST", "PUT"] {
            assert_eq!(
                parse(method, "/api/v1/watch/namespaces/shop/pods").unwrap_err().code,
                405,
                "{method}"
            );
        }
        assert_eq!(parse("GET", "/api/v1/watch/namespaces/shop/pods/web/log").unwrap_err().code, 404);
    }

    #[test]
    fn what_is_passed_on_has_any_method_and_any_path() {
        for (method, verb) in
            [("GET", Verb::Get), ("POST", Verb::Create), ("OPTIONS", Verb::Get), ("DELETE", Verb::Delete)]
        {
            let request =
                resource(method, "/api/v1/namespaces/shop/services/http:web:80/proxy/a/b%2Fc?watch=true");
            let found = (request.name.as_str(), request.subresource.map(|below| below.name), request.verb);
            assert_eq!(found, ("http:web:80", Some("proxy"), verb), "{method}");
        }
        assert_eq!(resource("GET", "/api/v1/nodes/n1/proxy/pods").resource.plural, "nodes");
        assert_eq!(parse("OPTIONS", "/api/v1/namespaces/shop/pods/web").unwrap_err().code, 405);
        assert_eq!(parse("GET", "/api/v1/namespaces/shop/pods/web/log/more").unwrap_err().code, 404);
        assert_eq!(
            parse("GET", "/apis/apps/v1/namespaces/shop/deployments/web/proxy").unwrap_err().code,
            404
        );
    }

    #[test]
    fn query_parameters_are_decoded() {
        let info = parse("GET", "/api/v1/pods?labelSelector=a%3Db%2Cc&x=1+2&watch=0").unwrap();
        assert_eq!(info.parameter("labelSelector"), Some("a=b,c"));
        assert_eq!(info.parameter("x"), Some("1 2"));
        assert!(!info.flag("watch"));
        for (query, verb) in [
            ("watch", Verb::Watch),
            ("watch=", Verb::Watch),
            ("watch=yes", Verb::Watch),
            ("watch=False", Verb::List),
            ("watch=0&watch=1", Verb::List),
        ] {
            assert_eq!(resource("GET", &format!("/api/v1/pods?{query}")).verb, verb, "{query}");
        }
        let pretty = |query: &str| parse("GET", &format!("/api/v1/pods?{query}")).unwrap().pretty();
        assert_eq!(
            [pretty(""), pretty("pretty="), pretty("pretty=x"), pretty("pretty=1")],
            [None, None, Some(false), Some(true)]
        );
    }

    #[test]
    fn parameters_that_cannot_be_read_are_left_out() {
        let info = parse("GET", "/api/v1/pods?limit=%zz&x=1;y=2&%=3&a=b&c=%ff").unwrap();
        let query: Vec<_> = info.query.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(query, [("a", "b"), ("c", "\u{fffd}")]);
    }

    #[test]
    fn an_escaped_slash_is_a_slash() {
        assert_eq!(parse("GET", "/api/v1/namespaces/a%2Fb").unwrap_err().code, 404);
        let pods = resource("GET", "/api/v1/namespaces/a%2fpods");
        assert_eq!((pods.namespace.as_str(), pods.resource.plural), ("a", "pods"));
        assert_eq!(resource("GET", "/api/v1/namespaces/a/pods/%ff").name, "\u{fffd}");
        assert!(is_well_formed("/a%2F%fF") && !is_well_formed("/%4") && !is_well_formed("/%zz"));
    }
}
