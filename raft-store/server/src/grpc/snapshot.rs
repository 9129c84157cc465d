//! The stream behind `etcdctl snapshot save`: this member's state at one moment, as one file.
//!
//! In: a view of the state, which stands still while writers go on. Out: the file of [`export`], in pieces,
//! each with the number of bytes that follow it.
//!
//! As in etcd, it is what this member has applied, so that it can be had where there is no quorum.

use std::io::{self, BufWriter, Write};

use keelson_proto::etcd::rpc::{ResponseHeader, SnapshotResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{Front, error, maintenance::API_VERSION};
use crate::{
    export::{self, Head, Sealed},
    state::StateView,
    store::Consistency,
    wall::now_ms,
};

/// So many are sent at once: each holds a thread for as long as its client likes.
pub(super) const AT_ONCE: usize = 16;
/// Bytes in one piece.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces that may wait for the client to take them.
const PIECES: usize = 4;

type Pieces = mpsc::Sender<Result<SnapshotResponse, Status>>;

impl Front {
    /// Begins to read, on a thread of its own; the client sets the pace.
    pub(super) async fn save_snapshot(
        &self,
    ) -> Result<ReceiverStream<Result<SnapshotResponse, Status>>, Status> {
        let export = self.exports.clone().try_acquire_owned().map_err(|_| error::too_many_requests())?;
        let view = self.store.view(Consistency::Local).await.map_err(error::read)?;
        let revision = view.header().revision;
        let head = Head { cluster: self.cluster, replica: self.replica, revision, taken_ms: now_ms() };
        let header = self.header(revision);
        let (pieces, taken) = mpsc::channel(PIECES);
        tokio::task::spawn_blocking(move || {
            let _until_it_ends = export;
            if let Err(failed) = send(&view, head, header, &pieces) {
                tracing::warn!(error = %failed, "a snapshot was not sent to its end");
                // The client may be what has gone.
                let _ = pieces.blocking_send(Err(Status::unavailable(format!("etcdserver: {failed}"))));
            }
        });
        Ok(ReceiverStream::new(taken))
    }
}

/// Reads all twice: first to know how much it is.
fn send(view: &StateView, head: Head, header: ResponseHeader, pieces: &Pieces) -> io::Result<()> {
    let mut counted = Sealed::new(Count(pieces));
    export::write(view.read(), head, &mut counted)?;
    let (_, len) = counted.finish()?;
    let channel = Channel { pieces, header, remaining: len };
    let mut sealed = Sealed::new(BufWriter::with_capacity(PIECE_BYTES, channel));
    export::write(view.read(), head, &mut sealed)?;
    sealed.finish().map(drop)
}

/// Takes everything and keeps nothing, as long as the client is there.
struct Count<'p>(&'p Pieces);

impl Write for Count<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.is_closed() { Err(gone()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends pieces.
struct Channel<'p> {
    pieces: &'p Pieces,
    header: ResponseHeader,
    remaining: u64,
}

impl Write for Channel<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let blob = &bytes[..bytes.len().min(PIECE_BYTES)];
        self.remaining = self.remaining.saturating_sub(blob.len() as u64);
        let piece = SnapshotResponse {
            header: Some(self.header),
            remaining_bytes: self.remaining,
            blob: blob.to_vec().into(),
            version: API_VERSION.to_owned(),
        };
        self.pieces.blocking_send(Ok(piece)).map_err(|_| gone())?;
        Ok(blob.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the client has gone, or the server stops")
}
