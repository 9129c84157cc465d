//! What is promised of the query, shown by example.

use std::net::IpAddr;

use hickory_proto::op::Edns;
use proptest::prelude::*;

use super::*;
use crate::answer::tests::{cluster, zone};

pub(crate) fn resolver() -> Resolver {
    Resolver { zone: zone(), cluster: cluster(), upstreams: Upstreams::of(Vec::new()) }
}

pub(crate) fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.id = 7;
    let mut name = Name::from_ascii(name).unwrap();
    name.set_fqdn(true);
    message.add_query(Query::query(name, kind));
    message
}

async fn asked(message: &Message, transport: Transport) -> Message {
    let answer = resolver().resolve(&message.to_vec().unwrap(), transport).await.unwrap();
    Message::from_vec(&answer).unwrap()
}

#[tokio::test]
async fn an_answer_carries_the_question_and_its_id() {
    let answer = asked(&query("web.shop.svc.cluster.local", RecordType::A), Transport::Udp).await;
    assert_eq!(answer.metadata.id, 7);
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    assert!(answer.metadata.authoritative && answer.metadata.recursion_available);
    assert_eq!(answer.queries.len(), 1);
    assert_eq!(answer.answers.len(), 1);
}

#[tokio::test]
async fn a_name_that_does_not_exist_says_how_long_that_holds() {
    let answer = asked(&query("nobody.shop.svc.cluster.local", RecordType::A), Transport::Udp).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(answer.authorities[0].record_type(), RecordType::SOA);
    let nothing = asked(&query("web.shop.svc.cluster.local", RecordType::MX), Transport::Udp).await;
    assert_eq!(nothing.metadata.response_code, ResponseCode::NoError);
    assert_eq!(nothing.authorities[0].record_type(), RecordType::SOA);
}

#[tokio::test]
async fn an_alias_inside_the_cluster_is_followed_here() {
    let answer = asked(&query("site.shop.svc.cluster.local", RecordType::A), Transport::Udp).await;
    let kinds: Vec<RecordType> = answer.answers.iter().map(Record::record_type).collect();
    assert_eq!(kinds, [RecordType::CNAME, RecordType::A]);
}

#[tokio::test]
async fn other_names_fail_where_there_is_nobody_to_ask_and_an_alias_to_them_stays() {
    let answer = asked(&query("example.com", RecordType::A), Transport::Udp).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert!(!answer.metadata.authoritative);
    let alias = asked(&query("bank.shop.svc.cluster.local", RecordType::A), Transport::Udp).await;
    assert_eq!(alias.metadata.response_code, ResponseCode::ServFail, "that it has no address is not known");
    assert_eq!(alias.answers.len(), 1);
}

#[tokio::test]
async fn what_another_server_says_of_an_aliass_target_is_said_of_the_alias() {
    let server = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let upstreams = Upstreams::of(vec![server.local_addr().unwrap()]);
    let resolver = Resolver { upstreams, ..resolver() };
    let answering = async {
        let mut bytes = [0; 512];
        let (length, from) = server.recv_from(&mut bytes).await.unwrap();
        let asked = Message::from_vec(&bytes[..length]).unwrap();
        let mut answer = Message::response(asked.metadata.id, OpCode::Query);
        answer.metadata.response_code = ResponseCode::NXDomain;
        answer.add_authority(zone().authority());
        server.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
    };
    let bytes = query("bank.shop.svc.cluster.local", RecordType::A).to_vec().unwrap();
    let (answer, ()) = tokio::join!(resolver.resolve(&bytes, Transport::Udp), answering);
    let answer = Message::from_vec(&answer.unwrap()).unwrap();
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!((answer.answers.len(), answer.authorities.len()), (1, 1));
}

#[tokio::test]
async fn what_is_no_query_for_a_name_is_not_answered_as_one() {
    let mut update = query("web.shop.svc.cluster.local", RecordType::A);
    update.metadata.op_code = OpCode::Update;
    assert_eq!(asked(&update, Transport::Udp).await.metadata.response_code, ResponseCode::NotImp);
    let mut response = query("web.shop.svc.cluster.local", RecordType::A);
    response.metadata.message_type = MessageType::Response;
    assert_eq!(resolver().resolve(&response.to_vec().unwrap(), Transport::Udp).await, None);
    assert_eq!(resolver().resolve(b"GET / HTTP/1.1", Transport::Tcp).await, None);
}

fn many(count: u16) -> Message {
    let mut response = Message::response(7, OpCode::Query);
    let name = Name::from_ascii("db.shop.svc.cluster.local.").unwrap();
    for last in 0..count {
        let [high, low] = last.to_be_bytes();
        let ip = std::net::Ipv4Addr::from([10, 244, high, low]);
        let data = hickory_proto::rr::RData::A(hickory_proto::rr::rdata::A(ip));
        response.add_answer(Record::from_rdata(name.clone(), 5, data));
    }
    response
}

#[test]
fn what_does_not_fit_is_cut_off_and_said_to_be() {
    for (count, limit, truncated) in
        [(10, 512, false), (200, 512, true), (200, 1232, true), (1500, 1232, true)]
    {
        let bytes = encode(&many(count), limit, Transport::Udp).unwrap();
        assert!(bytes.len() <= limit);
        let answer = Message::from_vec(&bytes).unwrap();
        assert_eq!(answer.metadata.truncation, truncated);
        assert!(answer.answers.len() >= 10, "{}", answer.answers.len());
        let whole = Message::from_vec(&encode(&many(count), limit, Transport::Tcp).unwrap()).unwrap();
        assert_eq!((whole.answers.len(), whole.metadata.truncation), (usize::from(count), false));
    }
}

#[test]
fn addresses_that_nobody_asked_for_go_first_and_are_not_missed() {
    let mut response = many(20);
    response.add_additionals(many(60).answers);
    let answer = Message::from_vec(&encode(&response, 512, Transport::Udp).unwrap()).unwrap();
    assert_eq!((answer.answers.len(), answer.additionals.len()), (20, 0));
    assert!(!answer.metadata.truncation);
}

#[tokio::test]
async fn extensions_are_answered_with_extensions() {
    let mut with = query("web.shop.svc.cluster.local", RecordType::A);
    with.set_edns(Edns::new());
    assert!(asked(&with, Transport::Udp).await.edns.is_some());
    assert!(asked(&query("web.shop.svc.cluster.local", RecordType::A), Transport::Udp).await.edns.is_none());
}

#[tokio::test]
async fn over_sockets_both_transports_answer() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let loopback: IpAddr = [127, 0, 0, 1].into();
    let socket = tokio::net::UdpSocket::bind((loopback, 0)).await.unwrap();
    let listener = tokio::net::TcpListener::bind((loopback, 0)).await.unwrap();
    let (udp, tcp) = (socket.local_addr().unwrap(), listener.local_addr().unwrap());
    let serving = tokio::spawn(crate::server::serve(socket, listener, std::sync::Arc::new(resolver())));
    let bytes = query("web.shop.svc.cluster.local", RecordType::A).to_vec().unwrap();
    let client = tokio::net::UdpSocket::bind((loopback, 0)).await.unwrap();
    client.send_to(b"nonsense", udp).await.unwrap();
    client.send_to(&bytes, udp).await.unwrap();
    let mut answer = vec![0; 1500];
    let (length, _) = client.recv_from(&mut answer).await.unwrap();
    assert_eq!(Message::from_vec(&answer[..length]).unwrap().answers.len(), 1);
    let mut stream = tokio::net::TcpStream::connect(tcp).await.unwrap();
    for _twice_on_one_stream in 0..2 {
        stream.write_u16(bytes.len().try_into().unwrap()).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let mut answer = vec![0; stream.read_u16().await.unwrap().into()];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(Message::from_vec(&answer).unwrap().answers.len(), 1);
    }
    serving.abort();
}

proptest! {
    #[test]
    fn no_bytes_make_it_fail(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _ = runtime.block_on(resolver().resolve(&bytes, Transport::Udp));
    }
}
