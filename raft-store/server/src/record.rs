//! Records of the log store, byte by byte.
//!
//! Every record begins with a format number. A number that this program does not know is
//! [`EngineError::TooNew`], bytes that do not fit are [`EngineError::Corrupt`]; neither ever panics.
//!
//! Entry: `format u8 | kind u8 | term u64 | index u64 | payload`, integers little-endian. The payload is the
//! command's own bytes, or a bincode [`MembershipRecord`]. Everything else is `format u8 | bincode`.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, Bytes, BytesMut};
use keelson_store_core::{
    command::Outcome,
    engine::EngineError,
    id::{ClusterId, LogIndex, LogPosition, ReplicaId, Term},
    mutant::{self, Mutant},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    options::{Calling, Member},
    types::{self, EncodedCommand, Entry, LogId, Membership, Payload, StoredMembership, Vote},
};

/// The format of entries.
const FORMAT: u8 = 1;
/// The format of all other records. The older ones differ in what is known of members.
const RECORD_FORMAT: u8 = 3;
const ENTRY_HEADER: usize = 18;
const KIND_BLANK: u8 = 0;
const KIND_COMMAND: u8 = 1;
const KIND_MEMBERSHIP: u8 = 2;

/// The largest record that a decoder accepts, against lengths that were damaged.
const MAX_RECORD: usize = 64 << 20;

/// A vote as it lies on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteRecord {
    /// The term voted in.
    pub term: Term,
    /// Who got the vote.
    pub voted_for: ReplicaId,
    /// Whether a quorum granted it.
    pub committed: bool,
}

/// A membership as it lies on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipRecord {
    /// The entry that set it, where one did.
    pub at: Option<LogPosition>,
    /// The voters; two sets while a change is under way.
    pub voters: Vec<BTreeSet<ReplicaId>>,
    /// Everybody, learners included.
    pub members: BTreeMap<ReplicaId, Member>,
}

/// Which snapshot this replica last made or received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRecord {
    /// Its folder.
    pub folder: String,
    /// The last entry in it.
    pub last: Option<LogPosition>,
    /// The membership in it.
    pub membership: MembershipRecord,
}

/// What is durable of a snapshot that is on its way to this replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ArrivingRecord {
    /// The folder that it arrives in.
    pub(crate) folder: String,
    /// The last entry in it.
    pub(crate) last: Option<LogPosition>,
    /// Its files, and how many bytes of each, from the first on.
    pub(crate) files: Vec<(String, u64)>,
}

/// What a restored disk was restored from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OriginRecord {
    /// Tells restored clusters apart: a digest of the file and of the revision that it was given.
    pub(crate) digest: [u8; 32],
    /// This replica's part.
    pub(crate) part: OriginPart,
}

/// A replica's part in a cluster that is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OriginPart {
    /// It holds the state, and is the only member at first.
    Holds,
    /// It joins, and gets the state from the others.
    Joins,
}

/// What was found to be damaged on a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DamageRecord {
    /// Which part.
    pub(crate) part: DamagedPart,
    /// In the words of whoever has found it.
    pub(crate) what: String,
}

/// Which part of a replica is damaged, the worse ones later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum DamagedPart {
    /// Records of the state. A snapshot of it may be whole.
    State,
    /// The state is another one than that of the other replicas, and nobody knows since when.
    Diverged,
    /// Entries of the log.
    Log,
}

/// A member as format 1 had it: it had no calling.
#[derive(Deserialize)]
#[cfg_attr(test, derive(Serialize))]
pub struct FirstMember {
    name: String,
    peer_urls: Vec<String>,
    client_urls: Vec<String>,
}

/// A member as format 2 had it: it did not know which place was kept for it.
#[derive(Deserialize)]
#[cfg_attr(test, derive(Serialize))]
pub struct SecondMember {
    name: String,
    peer_urls: Vec<String>,
    client_urls: Vec<String>,
    calling: Calling,
}

/// A membership of members as an older format had them.
#[derive(Deserialize)]
#[cfg_attr(test, derive(Serialize))]
pub struct OldMembershipRecord<M> {
    at: Option<LogPosition>,
    voters: Vec<BTreeSet<ReplicaId>>,
    members: BTreeMap<ReplicaId, M>,
}

/// A snapshot with members as an older format had them.
#[derive(Deserialize)]
#[cfg_attr(test, derive(Serialize))]
pub struct OldSnapshotRecord<M> {
    folder: String,
    last: Option<LogPosition>,
    membership: OldMembershipRecord<M>,
}

impl From<FirstMember> for Member {
    fn from(FirstMember { name, peer_urls, client_urls }: FirstMember) -> Self {
        Self { name, peer_urls, client_urls, ..Self::default() }
    }
}

impl From<SecondMember> for Member {
    fn from(SecondMember { name, peer_urls, client_urls, calling }: SecondMember) -> Self {
        Self { name, peer_urls, client_urls, calling, ..Self::default() }
    }
}

impl<M: Into<Member>> From<OldMembershipRecord<M>> for MembershipRecord {
    fn from(old: OldMembershipRecord<M>) -> Self {
        let members = old.members.into_iter().map(|(id, member)| (id, member.into())).collect();
        Self { at: old.at, voters: old.voters, members }
    }
}

impl<M: Into<Member>> From<OldSnapshotRecord<M>> for SnapshotRecord {
    fn from(old: OldSnapshotRecord<M>) -> Self {
        Self { folder: old.folder, last: old.last, membership: old.membership.into() }
    }
}

/// Encodes any record but an entry.
pub fn encode<T: Serialize>(record: &T) -> Bytes {
    let mut bytes = vec![RECORD_FORMAT];
    bincode::serde::encode_into_std_write(record, &mut bytes, config())
        .expect("writing plain records into memory cannot fail");
    bytes.into()
}

/// Decodes any record but an entry; `what` names it in errors.
pub fn decode<T: Record>(what: &str, bytes: &[u8]) -> Result<T, EngineError> {
    let (format, body) = check_format(what, bytes, RECORD_FORMAT)?;
    match format {
        RECORD_FORMAT => decode_body(what, body),
        2 => decode_body::<T::Second>(what, body).map(Into::into),
        _ => decode_body::<T::First>(what, body).map(Into::into),
    }
}

/// What lies on disk beside the entries.
pub trait Record: Serialize + DeserializeOwned {
    /// How it was written in format 1.
    type First: DeserializeOwned + Into<Self>;
    /// How it was written in format 2.
    type Second: DeserializeOwned + Into<Self>;
}

impl Record for VoteRecord {
    type First = Self;
    type Second = Self;
}

impl Record for LogPosition {
    type First = Self;
    type Second = Self;
}

impl Record for Option<LogPosition> {
    type First = Self;
    type Second = Self;
}

impl Record for ReplicaId {
    type First = Self;
    type Second = Self;
}

impl Record for ClusterId {
    type First = Self;
    type Second = Self;
}

impl Record for Outcome {
    type First = Self;
    type Second = Self;
}

impl Record for String {
    type First = Self;
    type Second = Self;
}

impl Record for OriginRecord {
    type First = Self;
    type Second = Self;
}

impl Record for ArrivingRecord {
    type First = Self;
    type Second = Self;
}

impl Record for DamageRecord {
    type First = Self;
    type Second = Self;
}

impl Record for MembershipRecord {
    type First = OldMembershipRecord<FirstMember>;
    type Second = OldMembershipRecord<SecondMember>;
}

impl Record for SnapshotRecord {
    type First = OldSnapshotRecord<FirstMember>;
    type Second = OldSnapshotRecord<SecondMember>;
}

/// Encodes a log entry.
pub fn encode_entry(entry: &Entry) -> Bytes {
    let mut bytes = BytesMut::new();
    put_entry(entry, &mut bytes);
    bytes.freeze()
}

/// Encodes a log entry behind what is there.
pub(crate) fn put_entry(entry: &Entry, bytes: &mut BytesMut) {
    let made;
    let (kind, payload): (u8, &[u8]) = match &entry.payload {
        Payload::Blank => (KIND_BLANK, &[]),
        Payload::Normal(command) => (KIND_COMMAND, &command.0),
        Payload::Membership(membership) => {
            made = encode_membership_body(membership);
            (KIND_MEMBERSHIP, &made)
        }
    };
    let at = types::position(&entry.log_id);
    bytes.reserve(ENTRY_HEADER + payload.len());
    bytes.put_u8(FORMAT);
    bytes.put_u8(kind);
    bytes.put_u64_le(at.term.get());
    bytes.put_u64_le(at.index.get());
    bytes.put_slice(payload);
}

/// Decodes a log entry that was found under `index`.
pub fn decode_entry(index: LogIndex, bytes: &Bytes) -> Result<Entry, EngineError> {
    let what = || format!("log entry {index}");
    check_format(&what(), bytes, FORMAT)?;
    let header = bytes.first_chunk::<ENTRY_HEADER>().ok_or_else(|| corrupt(&what(), "too short"))?;
    let [_, kind, numbers @ ..] = header;
    let (term, stored) = split_numbers(numbers);
    if stored != index.get() {
        return Err(corrupt(&what(), format!("says that it is entry {stored}")));
    }
    let payload = bytes.slice(ENTRY_HEADER..);
    let payload = match *kind {
        KIND_BLANK if payload.is_empty() => Payload::Blank,
        KIND_COMMAND => Payload::Normal(EncodedCommand(payload)),
        KIND_MEMBERSHIP => Payload::Membership(decode_membership_body(&what(), &payload)?),
        other => return Err(corrupt(&what(), format!("unknown kind {other}"))),
    };
    Ok(Entry { log_id: types::log_id(LogPosition { term: Term::new(term), index }), payload })
}

fn split_numbers(numbers: &[u8; 16]) -> (u64, u64) {
    let value = u128::from_le_bytes(*numbers);
    (value as u64, (value >> 64) as u64)
}

fn encode_membership_body(membership: &Membership) -> Bytes {
    encode(&MembershipRecord::of(None, membership))
}

fn decode_membership_body(what: &str, bytes: &[u8]) -> Result<Membership, EngineError> {
    decode::<MembershipRecord>(what, bytes)?.membership(what)
}

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<MAX_RECORD>()
}

fn check_format<'a>(what: &str, bytes: &'a [u8], newest: u8) -> Result<(u8, &'a [u8]), EngineError> {
    match bytes.split_first() {
        Some((&found, body)) if (1..=newest).contains(&found) => Ok((found, body)),
        Some((&found, _)) if found > newest => {
            Err(EngineError::TooNew { what: what.to_owned(), found: found.into(), known: newest.into() })
        }
        Some((&found, _)) => Err(corrupt(what, format!("format {found}"))),
        None => Err(corrupt(what, "empty")),
    }
}

fn decode_body<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T, EngineError> {
    let (record, used) = bincode::serde::decode_from_slice(body, config())
        .map_err(|error| corrupt(what, error.to_string()))?;
    if used != body.len() {
        return Err(corrupt(what, format!("{} bytes too many", body.len() - used)));
    }
    Ok(record)
}

fn corrupt(what: &str, detail: impl Into<String>) -> EngineError {
    EngineError::Corrupt { what: what.to_owned(), detail: detail.into() }
}

impl VoteRecord {
    /// The record of a vote.
    pub fn of(vote: &Vote) -> Self {
        Self {
            term: Term::new(vote.leader_id.term),
            voted_for: vote.leader_id.voted_for,
            committed: vote.committed,
        }
    }

    /// The vote of a record.
    pub fn vote(self) -> Vote {
        types::vote(self.term, self.voted_for, self.committed)
    }
}

impl MembershipRecord {
    /// The record of a membership.
    pub fn of(at: Option<&LogId>, membership: &Membership) -> Self {
        let mut voters = membership.get_joint_config().clone();
        if mutant::is(Mutant::SkipJoint) {
            voters.drain(..voters.len().saturating_sub(1));
        }
        Self {
            at: at.map(types::position),
            voters,
            members: membership.nodes().map(|(id, member)| (*id, member.clone())).collect(),
        }
    }

    /// The membership of a record; `what` names it in errors.
    pub fn membership(self, what: &str) -> Result<Membership, EngineError> {
        Membership::new(self.voters, self.members).map_err(|error| corrupt(what, error.to_string()))
    }

    /// The membership of a record with its place in the log.
    pub fn stored(self, what: &str) -> Result<StoredMembership, EngineError> {
        let at = self.at.map(types::log_id);
        Ok(StoredMembership::new(at, self.membership(what)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn members() -> Membership {
        let id = ReplicaId::new;
        let member = |name: &str| Member {
            name: name.into(),
            peer_urls: vec![format!("https://{name}:2380")],
            client_urls: vec![],
            calling: Calling::Learner,
            place: Some(id(9)),
        };
        Membership::new(
            vec![[id(1), id(2)].into(), [id(2), id(3)].into()],
            BTreeMap::from([(id(1), member("a")), (id(2), member("b")), (id(3), member("c"))]),
        )
        .unwrap()
    }

    fn entry(payload: Payload) -> Entry {
        Entry { log_id: types::log_id(LogPosition { term: Term::new(3), index: LogIndex::new(7) }), payload }
    }

    #[test]
    fn entries_come_back_as_they_were() {
        let command = EncodedCommand(Bytes::from_static(b"put"));
        for payload in [Payload::Blank, Payload::Normal(command), Payload::Membership(members())] {
            let entry = entry(payload);
            let decoded = decode_entry(LogIndex::new(7), &encode_entry(&entry)).unwrap();
            assert_eq!(decoded.log_id, entry.log_id);
            assert!(decoded.payload == entry.payload);
        }
    }

    #[test]
    fn an_entry_under_another_index_is_corrupt() {
        let bytes = encode_entry(&entry(Payload::Blank));
        assert!(matches!(decode_entry(LogIndex::new(8), &bytes), Err(EngineError::Corrupt { .. })));
    }

    /// What is read of a membership with one member in an older format.
    fn read_old<M: Serialize>(format: u8, member: M) -> Member {
        let members = BTreeMap::from([(ReplicaId::new(1), member)]);
        let old = OldMembershipRecord { at: None, voters: vec![[ReplicaId::new(1)].into()], members };
        let mut bytes = encode(&old).to_vec();
        bytes[0] = format;
        let record: MembershipRecord = decode("membership", &bytes).unwrap();
        let again: MembershipRecord = decode("membership", &encode(&record)).unwrap();
        assert_eq!(again, record);
        record.members[&ReplicaId::new(1)].clone()
    }

    #[test]
    fn memberships_of_older_formats_are_read() {
        let (name, peer_urls, client_urls) = ("a".to_owned(), vec!["u".to_owned()], vec!["c".to_owned()]);
        let now = Member { name, peer_urls, client_urls, ..Member::default() };
        let Member { name, peer_urls, client_urls, .. } = now.clone();
        assert_eq!(read_old(1, FirstMember { name, peer_urls, client_urls }), now);
        let Member { name, peer_urls, client_urls, .. } = now.clone();
        let second = SecondMember { name, peer_urls, client_urls, calling: Calling::Learner };
        assert_eq!(read_old(2, second), Member { calling: Calling::Learner, ..now });
    }

    #[test]
    fn a_newer_format_is_named() {
        let mut bytes = encode_entry(&entry(Payload::Blank)).to_vec();
        bytes[0] = 9;
        let error = decode_entry(LogIndex::new(7), &bytes.into()).unwrap_err();
        assert!(matches!(error, EngineError::TooNew { found: 9, known: 1, .. }), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let bytes = Bytes::from(bytes);
            let _ = decode_entry(LogIndex::new(1), &bytes);
            let _ = decode::<MembershipRecord>("membership", &bytes);
            let _ = decode::<SnapshotRecord>("snapshot", &bytes);
            let _ = decode::<VoteRecord>("vote", &bytes);
        }
    }
}
