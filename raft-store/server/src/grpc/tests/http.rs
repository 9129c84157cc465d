//! Probes, metrics and gRPC's own services, as tools ask for them.

use std::{io, net::SocketAddr};

use keelson_proto::etcd::{
    lock::{LockRequest, lock_client::LockClient},
    rpc::{RangeRequest, StatusRequest, TxnRequest, kv_client::KvClient},
};
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_stream::StreamExt as _;
use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use super::{assert_refused, put_request, with_member, with_quota};

/// Status and body.
async fn ask(address: SocketAddr, method: &str, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await?;
    let (head, body) = reply.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Ok((status, body.to_owned()))
}

#[test]
fn a_member_that_is_well_says_so_in_etcds_words() {
    with_member(async |served| {
        let get = async |path: &str| ask(served.address, "GET", path).await.unwrap();
        assert_eq!(get("/health").await, (200, r#"{"health":"true","reason":""}"#.to_owned()));
        assert_eq!(get("/health?serializable=true").await.0, 200);
        assert_eq!(get("/livez").await, (200, "ok\n".to_owned()));
        let verbose = "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\nok\n";
        assert_eq!(get("/readyz?verbose").await, (200, verbose.to_owned()));
        let version = r#"{"etcdcluster":"3.7.0","etcdserver":"3.7.0","storage":"3.7.0"}"#;
        assert_eq!(get("/version").await, (200, version.to_owned()));
        assert_eq!(get("/v2/keys").await.0, 404);
        assert_eq!(ask(served.address, "POST", "/health").await.unwrap().0, 405);
    });
}

#[test]
fn whoever_may_ask_for_metrics_may_not_write_or_read() {
    with_member(async |served| {
        assert_eq!(ask(served.metrics, "GET", "/readyz").await.unwrap().0, 200);
        let channel = Endpoint::from_shared(format!("http://{}", served.metrics)).unwrap();
        let mut kv = KvClient::new(channel.connect().await.unwrap());
        let unknown = "unknown service etcdserverpb.KV";
        assert_refused(kv.put(put_request("a", "1")).await, Code::Unimplemented, unknown);
        assert_refused(kv.range(RangeRequest::default()).await, Code::Unimplemented, unknown);
        assert_refused(kv.txn(TxnRequest::default()).await, Code::Unimplemented, unknown);
    });
}

#[test]
fn what_is_not_made_as_calls_are_is_none() {
    with_member(async |served| {
        let path = "/etcdserverpb.KV/DeleteRange";
        assert_eq!(ask(served.address, "POST", path).await.unwrap().0, 415);
        assert_eq!(ask(served.address, "GET", path).await.unwrap().0, 415);
    });
}

#[test]
fn a_call_is_given_up_when_its_clients_patience_ends() {
    with_member(async |served| {
        let lock = LockRequest { name: "a".into(), lease: 0 };
        LockClient::new(served.channel.clone()).lock(lock.clone()).await.unwrap();
        // A client of a library would give up by itself.
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        let message = lock.encode_to_vec();
        let head = format!(
            "POST /v3lockpb.Lock/Lock HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/grpc\r\n\
             grpc-timeout: 10m\r\nContent-Length: {}\r\n\r\n",
            5 + message.len()
        );
        let frame = [&[0], &(message.len() as u32).to_be_bytes()[..], &message].concat();
        stream.write_all(&[head.as_bytes(), &frame].concat()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        assert!(reply.contains("grpc-status: 4\r\n"), "{reply}");
    });
}

#[test]
fn a_member_that_has_stopped_is_not_ready() {
    with_member(async |served| {
        served.store.shutdown().await;
        let (status, body) = ask(served.address, "GET", "/readyz").await.unwrap();
        assert_eq!(status, 503);
        assert!(body.contains("[+]serializable_read ok\n[-]linearizable_read failed: "), "{body}");
        let (status, body) = ask(served.address, "GET", "/health").await.unwrap();
        assert_eq!((status, body.contains(r#""health":"false""#)), (503, true), "{body}");
        assert_eq!(ask(served.address, "GET", "/livez").await.unwrap().0, 200);
    });
}

#[test]
fn metrics_have_etcds_names_and_count_what_happened() {
    with_member(async |served| {
        served.put("a", "1").await;
        served.put("a", "2").await;
        served.get("a").await;
        served.maintenance().status(StatusRequest {}).await.unwrap();
        ask(served.address, "GET", "/health").await.unwrap();
        let (status, page) = ask(served.address, "GET", "/metrics").await.unwrap();
        assert_eq!(status, 200);
        for line in [
            "etcd_server_proposals_failed_total 0",
            "etcd_server_proposals_pending 0",
            "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.001\"}",
            "etcd_disk_backend_commit_duration_seconds_count",
        ] {
            assert!(page.contains(&format!("\n{line}")), "{line} is not in\n{page}");
        }
        for line in [
            "etcd_server_has_leader 1",
            "etcd_server_is_leader 1",
            "etcd_server_leader_changes_seen_total 1",
            "etcd_debugging_mvcc_current_revision 3",
            "grpc_server_started_total{grpc_method=\"Put\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"} 2",
            "grpc_server_handled_total{grpc_method=\"Put\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\",grpc_code=\"OK\"} 2",
            "grpc_server_msg_received_total{grpc_method=\"Put\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"} 2",
            "grpc_server_msg_sent_total{grpc_method=\"Put\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"} 2",
            "grpc_server_msg_sent_total{grpc_method=\"Status\",grpc_service=\"etcdserverpb.Maintenance\",grpc_type=\"unary\"} 1",
            "etcd_mvcc_put_total 2",
            "etcd_mvcc_range_total 1",
            "etcd_mvcc_delete_total 0",
            "etcd_mvcc_txn_total 0",
            "etcd_server_health_success 1",
            "etcd_server_health_failures 0",
            "etcd_cluster_version{cluster_version=\"3.7\"} 1",
            "etcd_server_read_indexes_failed_total 0",
            "etcd_server_slow_read_indexes_total 0",
            "etcd_server_heartbeat_send_failures_total 0",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
        for begins in
            ["process_resident_memory_bytes", "process_cpu_seconds_total", "process_start_time_seconds"]
        {
            assert!(page.contains(&format!("\n{begins} ")), "{begins} is not in\n{page}");
        }
        let number = |name: &str| {
            let line = page.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
            line.unwrap_or_else(|| panic!("{name} is not in\n{page}")).parse::<f64>().unwrap()
        };
        assert!(number("etcd_network_client_grpc_received_bytes_total") > 100.0);
        assert!(number("etcd_network_client_grpc_sent_bytes_total") > 100.0);
        assert_eq!(
            number("etcd_server_proposals_committed_total"),
            number("etcd_server_proposals_applied_total")
        );
        // This disk knows no limit, and there is no quota: alerts must not divide by 0.
        assert!(!page.contains("etcd_server_quota_backend_bytes"), "{page}");
    });
}

#[test]
fn a_quota_is_on_the_page_of_metrics() {
    with_quota(Some(1 << 30), async |served| {
        let (_, page) = ask(served.address, "GET", "/metrics").await.unwrap();
        assert!(page.contains("\netcd_server_quota_backend_bytes 1073741824\n"), "{page}");
    });
}

#[test]
fn grpcs_own_services_are_there() {
    with_member(async |served| {
        let mut health = HealthClient::new(served.channel.clone());
        let status = health.check(HealthCheckRequest::default()).await.unwrap().into_inner().status;
        assert_eq!(status, i32::from(tonic_health::pb::health_check_response::ServingStatus::Serving));

        let mut reflection = ServerReflectionClient::new(served.channel.clone());
        let list = ServerReflectionRequest {
            message_request: Some(MessageRequest::ListServices(String::new())),
            ..Default::default()
        };
        let mut answers =
            reflection.server_reflection_info(tokio_stream::once(list)).await.unwrap().into_inner();
        let answer = answers.next().await.unwrap().unwrap().message_response;
        let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
        let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
        for name in ["etcdserverpb.KV", "etcdserverpb.Maintenance", "v3lockpb.Lock", "v3electionpb.Election"]
        {
            assert!(names.contains(&name), "{name} is not in {names:?}");
        }
    });
}
