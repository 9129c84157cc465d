//! Who is on both ends of a connection, settled before any Raft message.

use std::{io, time::Duration};

use keelson_proto::peer::{Hello, HelloReply, PROTOCOL_VERSION, Purpose};
use keelson_store_core::id::{ClusterId, LogIndex, ReplicaId};

use super::{
    connection::{Connection, invalid, unexpected},
    wire::Body,
};
use crate::{
    options::{Beginning, Member},
    types::Membership,
};

/// How long a stranger may take to say who it is.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How a refusal ends of a replica that is not in the membership.
pub(super) const NO_MEMBER: &str = "is not a member of this cluster";
/// Part of a refusal of a replica that is looking for another one.
pub(super) const NOT_HERE: &str = "does not live here";
/// Part of a refusal of a replica whose name another one has.
const OTHER_DISK: &str = "a wiped or foreign disk may not take its place";

/// Whether a refusal says that the replica is no member.
pub(crate) fn denies_membership(refusal: &str) -> bool {
    refusal.ends_with(NO_MEMBER) || refusal.contains(OTHER_DISK)
}

/// What a replica says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster its disk belongs to.
    pub cluster: ClusterId,
    /// The id that was drawn with its disk.
    pub replica: ReplicaId,
    /// Its name.
    pub name: String,
}

/// What a replica needs to know to greet others.
#[derive(Clone, Debug)]
pub struct Greeter {
    /// Who it is.
    pub identity: Identity,
    /// What the membership says about it.
    pub member: Member,
    /// How it comes into its cluster.
    pub beginning: Beginning,
    /// What removes a member, as [`StoreOptions`](crate::StoreOptions) has it.
    pub removing: &'static str,
}

/// Whom a connection is meant to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Exactly this replica: the address must not have passed to another disk.
    Replica(ReplicaId),
    /// Whoever lives at the address: before the cluster is born, or before one belongs to it.
    Anybody,
}

/// What the other side said.
pub struct Peer {
    /// Who it is.
    pub identity: Identity,
    /// What the membership shall say about it.
    pub member: Member,
}

/// Introduces this replica to whom it has dialled. `known` has put the membership in force that this replica knows.
pub(super) async fn introduce(
    connection: &mut Connection,
    me: &Identity,
    target: Target,
    purpose: Purpose,
    known: LogIndex,
) -> io::Result<Peer> {
    let hello = Hello {
        protocol: PROTOCOL_VERSION,
        cluster_id: me.cluster.get(),
        from_replica: me.replica.get(),
        from_name: me.name.clone(),
        to_replica: match target {
            Target::Replica(replica) => replica.get(),
            Target::Anybody => 0,
        },
        purpose: purpose.into(),
        membership_at: known.get(),
    };
    let reply = match connection.ask(Body::Hello(hello)).await? {
        Body::HelloReply(reply) => reply,
        _ => return Err(unexpected("in the handshake")),
    };
    check_reply(me, target, reply)
}

fn check_reply(me: &Identity, target: Target, reply: HelloReply) -> io::Result<Peer> {
    if !reply.refused.is_empty() {
        // Not `ConnectionRefused`: that is what a closed port gives.
        return Err(io::Error::new(io::ErrorKind::ConnectionAborted, reply.refused));
    }
    let identity = Identity {
        cluster: ClusterId::new(reply.cluster_id),
        replica: ReplicaId::new(reply.replica),
        name: reply.name,
    };
    let member = Member {
        name: identity.name.clone(),
        peer_urls: reply.peer_urls,
        client_urls: reply.client_urls,
        ..Member::default()
    };
    if identity.cluster != me.cluster && me.cluster.get() != 0 {
        return Err(invalid(format!("{} belongs to another cluster", identity.name)));
    }
    match target {
        Target::Replica(expected) if expected != identity.replica => {
            Err(invalid(format!("replica {} lives there, not {expected}", identity.replica)))
        }
        Target::Replica(_) | Target::Anybody => Ok(Peer { identity, member }),
    }
}

/// Answers a replica that has dialled this one. `Ok` means that both agree. Once there is a membership, only who is in it
/// is heard, or who knows a later one: a leader that came while this replica was away is where it learns of that.
pub(super) async fn receive(
    connection: &mut Connection,
    greeter: &Greeter,
    known: (LogIndex, &Membership),
) -> io::Result<(Identity, Purpose)> {
    let me = &greeter.identity;
    let (id, body) = connection.reader.expect().await?;
    let Body::Hello(hello) = body else { return Err(unexpected("instead of a greeting")) };
    let checked = check_hello(me, &hello).and_then(|purpose| match purpose {
        // Strangers come for it.
        Purpose::Join => Ok(purpose),
        _ => check_member(known, &hello, greeter.removing)
            .and_then(|()| check_founder(greeter, known.1, &hello))
            .map(|()| purpose),
    });
    let reply = HelloReply {
        replica: me.replica.get(),
        name: me.name.clone(),
        cluster_id: me.cluster.get(),
        peer_urls: greeter.member.peer_urls.clone(),
        client_urls: greeter.member.client_urls.clone(),
        initialized: known.1.nodes().next().is_some(),
        refused: checked.as_ref().err().cloned().unwrap_or_default(),
    };
    connection.writer.send(id, Body::HelloReply(reply)).await?;
    let purpose = checked.map_err(invalid)?;
    let identity =
        Identity { cluster: me.cluster, replica: ReplicaId::new(hello.from_replica), name: hello.from_name };
    Ok((identity, purpose))
}

fn check_member(
    (at, membership): (LogIndex, &Membership),
    hello: &Hello,
    removing: &str,
) -> Result<(), String> {
    let from = ReplicaId::new(hello.from_replica);
    let is_ahead = hello.membership_at > at.get();
    if membership.nodes().next().is_none() || membership.get_node(&from).is_some() || is_ahead {
        return Ok(());
    }
    Err(match membership.nodes().find(|(_, member)| member.name == hello.from_name) {
        Some((known, _)) => format!(
            "{:?} is a member with id {:x}, not {:x}: {OTHER_DISK}; \
             remove the old member, then add this one as a new member ({removing})",
            hello.from_name,
            known.get(),
            from.get()
        ),
        None => format!("{:?} with id {:x} {NO_MEMBER}", hello.from_name, from.get()),
    })
}

/// Who waits to be taken into a cluster is not one of those who found one, whoever looks for them: a wiped founder, for
/// instance, and others that come in anew, must not become a second cluster beside the first.
fn check_founder(me: &Greeter, membership: &Membership, hello: &Hello) -> Result<(), String> {
    let is_waiting = me.beginning == Beginning::Joining && membership.nodes().next().is_none();
    match is_waiting && hello.to_replica == 0 {
        true => Err(format!("{:?} waits to be taken into a cluster, and founds none", me.identity.name)),
        false => Ok(()),
    }
}

fn check_hello(me: &Identity, hello: &Hello) -> Result<Purpose, String> {
    if hello.protocol != PROTOCOL_VERSION {
        return Err(format!("protocol {} is not spoken here, only {PROTOCOL_VERSION}", hello.protocol));
    }
    let asks_to_learn = hello.cluster_id == 0 && hello.purpose() == Purpose::Join;
    if hello.cluster_id != me.cluster.get() && !asks_to_learn {
        return Err(format!(
            "cluster {:016x} is not this one, {:016x}. Members that found a cluster need the same --initial-cluster and \
             --initial-cluster-token; a member that is to join one that runs needs an empty data folder and \
             --initial-cluster-state=existing",
            hello.cluster_id,
            me.cluster.get()
        ));
    }
    if hello.to_replica != 0 && hello.to_replica != me.replica.get() {
        return Err(format!("replica {} {NOT_HERE}, but {}", hello.to_replica, me.replica));
    }
    match Purpose::try_from(hello.purpose) {
        Ok(Purpose::Unspecified) | Err(_) => Err("a connection without a purpose".to_owned()),
        Ok(purpose) => Ok(purpose),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The membership that the listener knows.
    const AT: LogIndex = LogIndex::new(7);
    const NONE: LogIndex = LogIndex::new(0);

    fn identity(replica: u64) -> Identity {
        Identity { cluster: ClusterId::new(7), replica: ReplicaId::new(replica), name: format!("r{replica}") }
    }

    async fn meet(me: Identity, other: Identity, target: Target) -> (io::Result<Peer>, io::Result<Identity>) {
        meet_with(Beginning::Founding, NONE, me, other, target, Membership::default()).await
    }

    async fn meet_with(
        beginning: Beginning,
        known: LogIndex,
        me: Identity,
        other: Identity,
        target: Target,
        membership: Membership,
    ) -> (io::Result<Peer>, io::Result<Identity>) {
        let other =
            Greeter { identity: other, member: Member::default(), beginning, removing: "`remove it`" };
        let (left, right) = tokio::io::duplex(4096);
        let mut dialling = Connection::new(Box::new(left));
        let mut listening = Connection::new(Box::new(right));
        let dial = introduce(&mut dialling, &me, target, Purpose::Control, known);
        let listen = receive(&mut listening, &other, (AT, &membership));
        let (dial, listen) = tokio::join!(dial, listen);
        (dial, listen.map(|(identity, _)| identity))
    }

    #[tokio::test]
    async fn two_replicas_of_one_cluster_agree() {
        let (dial, listen) = meet(identity(1), identity(2), Target::Replica(ReplicaId::new(2))).await;
        assert_eq!(dial.unwrap().identity, identity(2));
        assert_eq!(listen.unwrap(), identity(1));
    }

    #[tokio::test]
    async fn another_disk_at_the_address_is_refused_by_both() {
        let (dial, listen) = meet(identity(1), identity(3), Target::Replica(ReplicaId::new(2))).await;
        assert!(dial.err().unwrap().to_string().contains("does not live here"));
        assert!(listen.is_err());
    }

    #[tokio::test]
    async fn another_cluster_is_refused_by_both() {
        let stranger = Identity { cluster: ClusterId::new(8), ..identity(1) };
        let (dial, listen) = meet(stranger, identity(2), Target::Anybody).await;
        assert!(dial.err().unwrap().to_string().contains("is not this one"));
        assert!(listen.is_err());
    }

    #[tokio::test]
    async fn a_wiped_disk_under_an_old_name_is_told_so() {
        let id = ReplicaId::new(9);
        let known = Member { name: "r1".into(), ..Member::default() };
        let membership =
            Membership::new(vec![[id].into()], std::collections::BTreeMap::from([(id, known)])).unwrap();
        let (dial, listen) =
            meet_with(Beginning::Founding, AT, identity(1), identity(2), Target::Anybody, membership).await;
        let told = dial.err().unwrap().to_string();
        assert!(
            told.contains("may not take its place") && told.ends_with("new member (`remove it`)"),
            "{told}"
        );
        assert!(listen.is_err());
    }

    #[tokio::test]
    async fn a_stranger_is_heard_that_knows_a_later_membership() {
        let members = std::collections::BTreeMap::from([(ReplicaId::new(9), Member::default())]);
        let membership = Membership::new(vec![[ReplicaId::new(9)].into()], members).unwrap();
        let meet = |known| {
            let (me, other, target) = (identity(1), identity(2), Target::Replica(ReplicaId::new(2)));
            meet_with(Beginning::Founding, known, me, other, target, membership.clone())
        };
        assert!(meet(AT).await.0.err().unwrap().to_string().contains("is not a member"));
        let (dial, listen) = meet(AT.next()).await;
        assert!(dial.is_ok() && listen.is_ok());
    }

    #[tokio::test]
    async fn who_waits_to_be_taken_in_is_no_founder_and_hears_those_who_mean_it() {
        let meet = |target| {
            let (me, other) = (identity(1), identity(2));
            meet_with(Beginning::Joining, NONE, me, other, target, Membership::default())
        };
        let (dial, listen) = meet(Target::Anybody).await;
        assert!(dial.err().unwrap().to_string().contains("founds none"));
        assert!(listen.is_err());
        let (dial, listen) = meet(Target::Replica(ReplicaId::new(2))).await;
        assert!(dial.is_ok() && listen.is_ok());
    }
}
