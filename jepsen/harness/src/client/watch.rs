//! One watch: a gRPC stream of its own.
//!
//! In: what to watch. Out: messages, fragments put together again; the last one says why there are no more.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use keelson_checkers::history::{Event, Revision, WatchEvent};
use keelson_proto::etcd::rpc;
use keelson_proto::etcd::rpc::watch_client::WatchClient;
use keelson_proto::etcd::rpc::watch_request::RequestUnion;
use keelson_workloads::{WatchMessage, WatchRequest, WatchStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::{MAX_ANSWER_BYTES, convert};

/// A watch that is being opened, open, or over.
pub(super) struct GrpcWatch {
    /// Closing it would tell the node that nothing more is wanted.
    requests: mpsc::UnboundedSender<rpc::WatchRequest>,
    state: State,
    /// What came of a response whose end did not come yet.
    fragments: Vec<Event>,
}

enum State {
    Opening(BoxFuture<'static, Result<Streaming<rpc::WatchResponse>, Status>>),
    Open(Box<Streaming<rpc::WatchResponse>>),
    Over,
}

impl GrpcWatch {
    pub(super) fn open(channel: Channel, request: &WatchRequest) -> Self {
        let (requests, sent) = mpsc::unbounded_channel();
        let create = RequestUnion::CreateRequest(convert::watch_request(request));
        // The other end is in the next line.
        let _ = requests.send(rpc::WatchRequest { request_union: Some(create) });
        let sent = UnboundedReceiverStream::new(sent);
        let opening = async move {
            let mut client = WatchClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
            Ok(client.watch(sent).await?.into_inner())
        };
        Self { requests, state: State::Opening(opening.boxed()), fragments: Vec::new() }
    }

    async fn next_message(&mut self) -> WatchMessage {
        loop {
            let said = match &mut self.state {
                State::Opening(opening) => match opening.await {
                    Ok(stream) => {
                        self.state = State::Open(Box::new(stream));
                        continue;
                    }
                    Err(status) => Err(status),
                },
                State::Open(stream) => stream.message().await,
                State::Over => Ok(None),
            };
            match said {
                Ok(Some(response)) => {
                    if let Some(message) = self.take(response) {
                        return message;
                    }
                }
                Ok(None) => return self.broken("the stream ended".to_owned()),
                Err(status) => return self.broken(format!("{:?}: {}", status.code(), status.message())),
            }
        }
    }

    fn broken(&mut self, why: String) -> WatchMessage {
        self.state = State::Over;
        WatchMessage { header_revision: Revision::ZERO, what: WatchEvent::Broken(why) }
    }

    /// The message that is complete with this response, if one is.
    fn take(&mut self, response: rpc::WatchResponse) -> Option<WatchMessage> {
        let header_revision = convert::revision(response.header.as_ref());
        self.fragments.extend(response.events.iter().map(convert::event));
        if response.fragment {
            return None;
        }
        let what = if response.canceled {
            self.state = State::Over;
            let compact_revision = Revision(u64::try_from(response.compact_revision).unwrap_or(0));
            WatchEvent::Canceled { compact_revision, reason: response.cancel_reason }
        } else if response.created {
            WatchEvent::Created
        } else if self.fragments.is_empty() {
            WatchEvent::Progress
        } else {
            WatchEvent::Events(std::mem::take(&mut self.fragments))
        };
        Some(WatchMessage { header_revision, what })
    }
}

impl WatchStream for GrpcWatch {
    fn next(&mut self) -> BoxFuture<'_, WatchMessage> {
        self.next_message().boxed()
    }

    fn ask_progress(&mut self) {
        let ask = RequestUnion::ProgressRequest(rpc::WatchProgressRequest {});
        // A stream that is over has no progress to report.
        let _ = self.requests.send(rpc::WatchRequest { request_union: Some(ask) });
    }
}
