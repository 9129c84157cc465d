//! What goes along and comes back, and what does not.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::{
    handlers::handle as handle_call,
    testing::{self, body, with_server},
};

use super::*;

const WEB: &str = "/api/v1/namespaces/shop/pods/web/proxy";

async fn create(server: &Server, group: &str, plural: &str, object: Value) {
    let resource = resources::find(group, "v1", plural).unwrap();
    server.objects.create(resource, &Object(object), &[]).await.unwrap();
}

async fn create_pod(server: &Server, ip: &str) {
    let object = json!({
        "kind": "Pod", "apiVersion": "v1", "metadata": {"name": "web", "namespace": "shop", "uid": "web"},
        "spec": {"containers": [{"name": "a"}]}, "status": {"podIP": ip},
    });
    create(server, "", "pods", object).await;
}

/// Answers one request, and tells what it was.
async fn answer_once(listener: TcpListener, answer: &'static str) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut asked = String::new();
    // The end of the body that the test sends.
    while !asked.ends_with("end") {
        let mut piece = [0; 1024];
        let length = stream.read(&mut piece).await.unwrap();
        asked += std::str::from_utf8(&piece[..length]).unwrap();
    }
    stream.write_all(answer.as_bytes()).await.unwrap();
    asked
}

#[test]
fn a_request_goes_along_without_who_made_it_and_the_answer_comes_back() {
    with_server(async |site| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = "HTTP/1.1 302 Found\r\nlocation: /there\r\nx-own: yes\r\ncontent-length: 2\r\n\r\nok";
        let other = tokio::spawn(answer_once(listener, answer));
        let uri = format!("{WEB}/a%2Fb?x=1%202");
        let headers = [("authorization", "Bearer secret"), ("impersonate-user", "jane"), ("x-mine", "kept")];
        let call = testing::call(&site.server, "POST", &uri, &headers, "the end");
        let request = request(&call, &Other::Endpoint(Scheme::Http, address), "/a%2Fb").unwrap();
        let response = passed_back(&site.server, send(Scheme::Http, address, request).await.unwrap(), WEB);
        let asked = other.await.unwrap().to_lowercase();
        assert!(asked.starts_with("post /a%2fb?x=1%202 http/1.1\r\n"), "{asked}");
        assert!(asked.contains("x-mine: kept") && asked.ends_with("\r\n\r\nthe end"), "{asked}");
        assert!(asked.contains(&format!("host: {address}\r\n")), "{asked}");
        assert!(asked.contains("x-forwarded-uri: /api/v1/namespaces/shop/pods/web/proxy/a%2fb"), "{asked}");
        assert!(!asked.contains("secret") && !asked.contains("jane"), "{asked}");
        assert_eq!(response.status(), 302);
        assert_eq!(response.headers()[header::LOCATION], format!("{WEB}/there"));
        assert_eq!(response.headers()["x-own"], "yes");
        assert_eq!(body(response).await, "ok");
    });
}

#[test]
fn links_of_a_page_lead_through_this_server_again() {
    with_server(async |site| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: 29\r\n\r\n\
                      <a href=\"/rewriteme\">test</a>";
        let other = tokio::spawn(answer_once(listener, answer));
        let call = testing::call(&site.server, "POST", &format!("{WEB}/"), &[], "the end");
        let request = request(&call, &Other::Endpoint(Scheme::Http, address), "/").unwrap();
        let answer = send(Scheme::Http, address, request).await.unwrap();
        let response = passed_back(&site.server, answer, WEB);
        other.await.unwrap();
        assert!(!response.headers().contains_key(header::CONTENT_LENGTH), "it is longer now");
        assert_eq!(body(response).await, format!("<a href=\"{WEB}/rewriteme\">test</a>"));
    });
}

#[test]
fn a_pod_that_speaks_https_is_asked_whatever_its_certificate_says() {
    with_server(async |site| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(testing::listening::tls_of(&site.authority));
        let other = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(stream).await.unwrap();
            let mut piece = [0; 1024];
            let length = stream.read(&mut piece).await.unwrap();
            assert!(length > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        });
        let call = testing::call(&site.server, "GET", &format!("{WEB}/"), &[], "");
        let request = request(&call, &Other::Endpoint(Scheme::Https, address), "/").unwrap();
        let response = send(Scheme::Https, address, request).await.unwrap();
        other.await.unwrap();
        assert_eq!(response.status(), 200);
    });
}

#[test]
fn nobody_there_is_told_and_may_be_tried_again() {
    with_server(async |site| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let call = testing::call(&site.server, "GET", &format!("{WEB}/"), &[], "");
        let request = request(&call, &Other::Endpoint(Scheme::Http, address), "/").unwrap();
        let error = send(Scheme::Http, address, request).await.unwrap_err();
        assert_eq!((error.code.as_u16(), error.reason), (503, "ServiceUnavailable"));
        let start = format!("error trying to reach service: dial tcp {address}: ");
        assert!(error.message.starts_with(&start), "{}", error.message);
    });
}

#[test]
fn what_is_not_there_or_may_not_be_reached_is_refused() {
    with_server(async |site| {
        let refused = async |method: &str, uri: &str| {
            let call = testing::call(&site.server, method, uri, &[], "");
            let error = handle_call(&site.server, call).await.unwrap_err();
            (error.code.as_u16(), error.message)
        };
        assert_eq!(refused("GET", &format!("{WEB}/")).await, (404, "pods \"web\" not found".to_owned()));
        create_pod(&site.server, "127.0.0.1").await;
        assert_eq!(refused("DELETE", &format!("{WEB}/x")).await, (400, "address not allowed".to_owned()));
        let service = json!({
            "kind": "Service", "apiVersion": "v1", "metadata": {"name": "web", "namespace": "shop", "uid": "web"},
            "spec": {"ports": [{"port": 80}]},
        });
        create(&site.server, "", "services", service).await;
        let services = "/api/v1/namespaces/shop/services/web:80/proxy/";
        assert_eq!(
            refused("POST", services).await,
            (503, "no endpoints available for service \"web\"".to_owned())
        );
    });
}

#[test]
fn an_address_without_a_slash_at_its_end_is_left_for_the_one_with_it() {
    with_server(async |site| {
        let call = testing::call(&site.server, "GET", &format!("{WEB}?a=b"), &[], "");
        let response = handle_call(&site.server, call).await.unwrap();
        assert_eq!(response.status(), 301);
        assert_eq!(response.headers()[header::LOCATION], format!("{WEB}/?a=b"));
    });
}
