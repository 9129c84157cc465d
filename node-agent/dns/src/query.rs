//! One query, from bytes to bytes.

use hickory_proto::op::{Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, Record, RecordType};

use crate::answer::{Answer, Zone};
use crate::cluster::Cluster;
use crate::upstream::{Transport, Upstreams};

/// The largest datagram that no network on the way should have to split; what a client offers beyond it is not used.
const DATAGRAM_BYTES: usize = 1232;

/// No record is shorter: a pointer to its name, type, class, time, length.
const RECORD_BYTES: usize = 12;

/// How many names an alias may lead through inside the cluster.
const ALIASES: usize = 8;

/// Who answers.
pub(crate) struct Resolver {
    pub(crate) zone: Zone,
    pub(crate) cluster: Cluster,
    pub(crate) upstreams: Upstreams,
}

impl Resolver {
    /// The answer to a query. None where there is nobody to answer: what is no query gets no reply.
    pub(crate) async fn resolve(&self, bytes: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let request = Message::from_vec(bytes).ok()?;
        if request.metadata.message_type != MessageType::Query {
            return None;
        }
        let mut response = Message::response(request.metadata.id, request.metadata.op_code);
        response.metadata.recursion_desired = request.metadata.recursion_desired;
        response.metadata.recursion_available = true;
        response.add_queries(request.queries.iter().cloned());
        match request.queries.as_slice() {
            [query] if request.metadata.op_code == OpCode::Query && query.query_class == DNSClass::IN => {
                if let Some(forwarded) = self.fill(&mut response, query, bytes, transport).await {
                    return Some(forwarded);
                }
            }
            _ => response.metadata.response_code = ResponseCode::NotImp,
        }
        if let Some(edns) = &request.edns {
            let mut own = hickory_proto::op::Edns::new();
            own.set_max_payload(u16::try_from(DATAGRAM_BYTES).unwrap_or(512)).set_version(0);
            own.set_dnssec_ok(edns.flags().dnssec_ok);
            response.set_edns(own);
        }
        encode(&response, usize::from(request.max_payload()).min(DATAGRAM_BYTES), transport)
    }

    /// Fills the response in, or gives another server's instead.
    async fn fill(
        &self,
        response: &mut Message,
        query: &Query,
        bytes: &[u8],
        transport: Transport,
    ) -> Option<Vec<u8>> {
        let kind = query.query_type;
        let mut name = query.name.clone();
        response.metadata.authoritative = true;
        for _ in 0..ALIASES {
            match self.zone.answer(&self.cluster, &name, kind) {
                Answer::Records { answers, additionals } => {
                    self.add_records(response, answers, additionals);
                    return None;
                }
                Answer::NoName => {
                    response.metadata.response_code = ResponseCode::NXDomain;
                    response.add_authority(self.zone.authority());
                    return None;
                }
                Answer::NotYet => {
                    response.metadata.authoritative = false;
                    response.metadata.response_code = ResponseCode::ServFail;
                    return None;
                }
                Answer::Alias { record, target } => {
                    response.add_answer(*record);
                    name = target;
                }
                Answer::Elsewhere if response.answers.is_empty() => {
                    return self.forward(response, bytes, transport).await;
                }
                Answer::Elsewhere => {
                    self.follow(response, &name, kind, transport).await;
                    return None;
                }
            }
        }
        response.metadata.response_code = ResponseCode::ServFail;
        None
    }

    fn add_records(&self, response: &mut Message, mut answers: Vec<Record>, additionals: Vec<Record>) {
        if answers.is_empty() && response.answers.is_empty() {
            response.add_authority(self.zone.authority());
        }
        // Many clients take the first.
        if !answers.is_empty() {
            let first = usize::from(response.metadata.id) % answers.len();
            answers.rotate_left(first);
        }
        response.add_answers(answers);
        response.add_additionals(additionals);
    }

    async fn forward(&self, response: &mut Message, bytes: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let forwarded = self.upstreams.ask(bytes, transport).await;
        if forwarded.is_none() {
            response.metadata.authoritative = false;
            response.metadata.response_code = ResponseCode::ServFail;
        }
        forwarded
    }

    /// Adds what another server says of the name that an alias leads to.
    async fn follow(&self, response: &mut Message, name: &Name, kind: RecordType, transport: Transport) {
        let mut metadata = Metadata::new(response.metadata.id, MessageType::Query, OpCode::Query);
        metadata.recursion_desired = true;
        let mut query = Message::new(metadata.id, MessageType::Query, OpCode::Query);
        query.metadata = metadata;
        query.add_query(Query::query(name.clone(), kind));
        let Ok(bytes) = query.to_vec() else { return };
        match self.ask_whole(&bytes, transport).await {
            Some(answer) => {
                response.metadata.response_code = answer.metadata.response_code;
                if answer.answers.is_empty() {
                    response.add_authorities(answer.authorities);
                }
                response.add_answers(answer.answers);
            }
            // The alias itself is known for certain, but clients take it alone for "there is no address".
            None => {
                tracing::debug!(%name, "an external name cannot be followed");
                response.metadata.response_code = ResponseCode::ServFail;
            }
        }
    }

    /// Another server's answer; one that did not fit into a datagram is fetched by stream.
    async fn ask_whole(&self, query: &[u8], transport: Transport) -> Option<Message> {
        let read = |answer: Vec<u8>| Message::from_vec(&answer).ok();
        let answer = self.upstreams.ask(query, transport).await.and_then(read)?;
        if !answer.metadata.truncation || transport == Transport::Tcp {
            return Some(answer);
        }
        self.upstreams.ask(query, Transport::Tcp).await.and_then(read)
    }
}

/// What does not fit into a datagram is cut off, and the client told so: it asks again over TCP.
fn encode(response: &Message, datagram: usize, transport: Transport) -> Option<Vec<u8>> {
    let bytes = response.to_vec().ok()?;
    let limit = match transport {
        Transport::Udp => datagram,
        Transport::Tcp => usize::from(u16::MAX),
    };
    if bytes.len() <= limit {
        return Some(bytes);
    }
    let mut without = response.clone();
    // They were only there to save a question.
    without.additionals.clear();
    let bytes = without.to_vec().ok()?;
    if bytes.len() <= limit {
        return Some(bytes);
    }
    without.metadata.truncation = true;
    // However many there are, only so many can fit.
    without.answers.truncate(limit / RECORD_BYTES);
    while let Some(_cut) = without.answers.pop() {
        let bytes = without.to_vec().ok()?;
        if bytes.len() <= limit {
            return Some(bytes);
        }
    }
    response.truncate().to_vec().ok()
}

#[cfg(test)]
pub(crate) mod tests;
