//! The forms of answers: failures in every encoding, what is indented, compressed, kept, or warned of.

use super::*;

/// Code, media type and body of a GET.
async fn raw(client: &Client, uri: &str) -> (u16, String, Vec<u8>) {
    let mut request = Request::get(uri).body(Full::<Bytes>::default()).unwrap();
    *request.headers_mut() = client.headers.clone();
    let (head, body) = answer(client.server.clone(), client.peer.clone(), request).await.into_parts();
    let media = head.headers[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    (head.status.as_u16(), media, body.collect().await.unwrap().to_bytes().to_vec())
}

#[test]
fn failures_are_told_in_the_encoding_that_the_client_accepts() {
    const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
    with_server(async |site| {
        let get =
            async |accept: &str, uri: &str| raw(&Client::master(&site).header("accept", accept), uri).await;
        let missing = "/api/v1/namespaces/a/configmaps/b";
        let (code, media, body) = get(&format!("{PROTOBUF},application/json"), missing).await;
        assert_eq!((code, media.as_str()), (404, PROTOBUF));
        assert!(body.starts_with(b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Status"), "{body:x?}");
        assert!(body.windows(8).any(|bytes| bytes == b"NotFound"), "{body:x?}");
        assert_eq!(get(PROTOBUF, "/api/v1/nothings").await.1, PROTOBUF);
        let (_, media, body) = get("application/yaml", missing).await;
        assert_eq!(media, "application/yaml");
        assert!(body.starts_with(b"apiVersion: v1\ncode: 404\n"), "{}", String::from_utf8_lossy(&body));

        // A Table of a failure is its Status, and what fits nothing is told in JSON.
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        for (accept, code) in [(table, 404), ("text/html", 406), ("application/cbor", 406)] {
            let (found, media, body) = get(accept, missing).await;
            let status: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(
                (found, media.as_str(), &status["kind"]),
                (code, "application/json", &json!("Status"))
            );
        }
    });
}

#[test]
fn a_path_that_cannot_be_unescaped_is_refused_before_anybody_is_asked_who_they_are() {
    with_server(async |site| {
        for uri in ["/api/v1/namespaces/%zz", "/%", "/healthz%2"] {
            let (code, media, body) = raw(&Client::anonymous(&site), uri).await;
            assert_eq!((code, media.as_str()), (400, "text/plain; charset=utf-8"), "{uri}");
            assert_eq!(body, b"400 Bad Request", "{uri}");
        }
        let master = Client::master(&site);
        assert_eq!(raw(&master, "/api/v1/namespaces?limit=%zz&labelSelector=a;b").await.0, 200);
        let (code, _, body) = raw(&master, "/api/v1/namespaces/a%2Fb").await;
        let status: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((code, &status["reason"], &status["details"]), (404, &json!("NotFound"), &json!({})));
    });
}

#[test]
fn json_is_indented_for_tools_of_people_and_on_request() {
    with_server(async |site| {
        let curl = Client::master(&site).header("user-agent", "curl/8.5.0");
        for uri in ["/api/v1/namespaces/a/configmaps", "/api/v1/namespaces/a/configmaps/b", "/apis"] {
            let (_, _, body) = raw(&curl, uri).await;
            assert!(body.starts_with(b"{\n  \"kind\"") || body.starts_with(b"{\n  \"apiVersion\""), "{uri}");
            let (_, _, body) = raw(&curl, &format!("{uri}?pretty=false")).await;
            assert!(!body.starts_with(b"{\n"), "{uri}");
            let (_, _, body) = raw(&Client::master(&site), &format!("{uri}?pretty=true")).await;
            assert!(body.starts_with(b"{\n"), "{uri}");
        }
        let (_, _, version) = raw(&Client::master(&site), "/version").await;
        assert!(version.starts_with(b"{\n  \""), "always");
    });
}

#[test]
fn a_document_of_openapi_may_be_kept_under_its_hash_and_is_found_under_an_older_one() {
    with_server(async |site| {
        let master = Client::master(&site);
        let index = master.get("/openapi/v3").await;
        assert_eq!(index.headers[header::CACHE_CONTROL], "no-cache, private");
        let url = index.body["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap();
        let kept = master.get(url).await;
        assert_eq!((kept.status, &kept.body["openapi"]), (200, &json!("3.0.0")));
        assert_eq!(kept.headers[header::CACHE_CONTROL], "public, immutable");
        assert!(kept.headers[header::EXPIRES].to_str().unwrap().ends_with(" GMT"));
        let moved = master.get("/openapi/v3/apis/apps/v1?hash=OLD").await;
        assert_eq!((moved.status, moved.headers[header::LOCATION].to_str().unwrap()), (301, url));
        let plain = master.get("/openapi/v3/apis/apps/v1").await;
        assert_eq!(plain.headers[header::CACHE_CONTROL], "no-cache, private");
    });
}

/// client-go asks for v3 under a name that is no media type by the rules, and with the hash of the index.
#[test]
fn a_document_of_openapi_is_told_in_the_form_that_the_client_accepts() {
    const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf";
    with_server(async |site| {
        let index = Client::master(&site).get("/openapi/v3").await;
        let url = index.body["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap();
        let (path, hash) = url.split_once("?hash=").unwrap();
        let etag = format!("\"{hash}\"");
        for asked in [PROTOBUF, "application/com.github.proto-openapi.spec.v3@v1.0+protobuf"] {
            let client = Client::master(&site).header("accept", asked);
            for (uri, cached) in [(url, "public, immutable"), (path, "no-cache, private")] {
                let found = client.get(uri).await;
                assert_eq!(
                    (found.status, &found.headers[header::CONTENT_TYPE]),
                    (200, &PROTOBUF.parse().unwrap())
                );
                assert_eq!(
                    (found.headers[header::ETAG].to_str().unwrap(), &found.headers[header::VARY]),
                    (etag.as_str(), &"Accept".parse().unwrap())
                );
                assert_eq!(found.headers[header::CACHE_CONTROL], cached);
                assert!(found.body.as_str().unwrap().starts_with("\n\u{5}3.0.0"));
            }
            let moved = client.get(&format!("{path}?hash=OLD")).await;
            assert_eq!((moved.status, moved.headers[header::LOCATION].to_str().unwrap()), (301, url));
            let known = client.header("if-none-match", &etag).get(url).await;
            assert_eq!((known.status, &known.body), (304, &json!("")));
        }
        let anything = Client::master(&site).header("accept", "a/b, */*").get(url).await;
        assert_eq!((anything.status, &anything.body["openapi"]), (200, &json!("3.0.0")));
        for uri in [url, "/openapi/v2"] {
            let refused = Client::master(&site).header("accept", "application/yaml").get(uri).await;
            assert_eq!((refused.status, &refused.body), (406, &json!("")));
            assert_eq!(refused.headers[header::VARY], "Accept");
        }
    });
}

/// What is described beside the resources is there, in every form that it is said to have.
#[test]
fn every_page_of_openapi_is_served() {
    with_server(async |site| {
        let master = Client::master(&site);
        let index = master.get("/openapi/v3").await;
        let mut pages = 0;
        for entry in index.body["paths"].as_object().unwrap().values() {
            let document = master.get(entry["serverRelativeURL"].as_str().unwrap()).await.body;
            let [(path, item)] = &Vec::from_iter(document["paths"].as_object().unwrap())[..] else {
                continue;
            };
            pages += 1;
            for media in item["get"]["responses"]["200"]["content"].as_object().unwrap().keys() {
                let (code, found, _) = raw(&Client::master(&site).header("accept", media), path).await;
                assert_eq!((code, found.split(';').next().unwrap()), (200, media.as_str()), "{path}");
            }
        }
        assert!(pages > 20, "{pages}");
        let described = master.get("/openapi/v3/version").await.body;
        let info = &described["components"]["schemas"]["io.k8s.apimachinery.pkg.version.Info"];
        let keys = |object: &Value| -> std::collections::BTreeSet<String> {
            object.as_object().unwrap().keys().cloned().collect()
        };
        assert_eq!(keys(&info["properties"]), keys(&master.get("/version").await.body));
    });
}

#[test]
fn long_answers_are_compressed_and_watches_are_not() {
    with_server(async |site| {
        let master = Client::master(&site).header("accept-encoding", "gzip");
        let document = master.get("/openapi/v3/api/v1").await;
        assert_eq!(document.headers[header::CONTENT_ENCODING], "gzip");
        let watch = master.get("/api/v1/configmaps?watch=1&timeoutSeconds=1").await;
        assert_eq!((watch.status, watch.headers.get(header::CONTENT_ENCODING)), (200, None));
    });
}

#[test]
fn clients_of_deprecated_kinds_are_warned() {
    with_server(async |site| {
        let master = Client::master(&site);
        let list = master.get("/api/v1/endpoints").await;
        let warning = "299 - \"v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice\"";
        assert_eq!(list.headers[header::WARNING], warning);
        let parts = master.get("/api/v1/componentstatuses").await;
        assert_eq!(parts.headers[header::WARNING], "299 - \"v1 ComponentStatus is deprecated in v1.19+\"");
        assert_eq!(master.get("/api/v1/pods").await.headers.get(header::WARNING), None);
    });
}

#[test]
fn what_comes_or_is_wanted_in_cbor_is_refused() {
    with_server(async |site| {
        let maps = "/api/v1/namespaces/a/configmaps";
        let cbor = Client::master(&site).header("content-type", "application/cbor");
        let refused = cbor.send(Method::POST, maps, Full::new(Bytes::from_static(b"\xa0"))).await;
        assert_eq!((refused.status, &refused.body["reason"]), (415, &json!("UnsupportedMediaType")));
        let cbor = Client::master(&site).header("content-type", "application/apply-patch+cbor");
        let one = format!("{maps}/b?fieldManager=me");
        let refused = cbor.send(Method::PATCH, &one, Full::new(Bytes::from_static(b"\xa0"))).await;
        assert_eq!((refused.status, &refused.body["reason"]), (415, &json!("UnsupportedMediaType")));
        let cbor = Client::master(&site).header("accept", "application/cbor-seq");
        assert_eq!(cbor.get(&format!("{maps}?watch=1")).await.status, 406);
    });
}
