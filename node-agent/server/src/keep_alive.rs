//! Connections whose other end has vanished without a word are noticed: a command that runs and a log that is
//! followed would wait for it for ever.

use std::{io, os::fd::AsFd, time::Duration};

use rustix::net::sockopt;

/// After so much silence the system asks whether anybody is there, and again after as much more.
const ASK_AFTER: Duration = Duration::from_secs(15);

/// After so many questions without an answer the connection is gone. Upstream's numbers, all of them.
const QUESTIONS: u32 = 9;

/// Has the system ask.
pub(crate) fn keep_alive(socket: &impl AsFd) -> io::Result<()> {
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, ASK_AFTER)?;
    sockopt::set_tcp_keepintvl(socket, ASK_AFTER)?;
    sockopt::set_tcp_keepcnt(socket, QUESTIONS)?;
    Ok(())
}
