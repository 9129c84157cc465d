//! Answers as text.

use bytes::Bytes;
use keelson_store_core::{
    apply::Header,
    auth::Auth,
    command::{
        Access, CommandError, KeyValue, OpResponse, Outcome, PermissionRange, RangeResponse, ResponseBody,
        TxnResponse,
    },
    id::ChangeId,
    lease::Lease,
    watch::{Change, ChangeKind},
};

pub(crate) fn outcome(outcome: &Outcome, woken: &[&str]) -> String {
    let mut text = match outcome {
        Ok(response) => {
            let body = match &response.body {
                ResponseBody::Txn(txn) => self::txn(txn, ""),
                ResponseBody::Compact
                | ResponseBody::LeaseGrant
                | ResponseBody::LeaseRevoke
                | ResponseBody::Auth => String::new(),
            };
            format!("ok revision={}{body}", response.revision)
        }
        Err(refused) => error(refused),
    };
    if !woken.is_empty() {
        text += &format!("\nwakes {}", woken.join(" "));
    }
    text
}

pub(crate) fn users(auth: &Auth) -> String {
    let state = if auth.is_enabled() { "enabled" } else { "disabled" };
    let key = if auth.token_key().is_some() { " with a key" } else { "" };
    let mut text = format!("{state}{key} revision={}", auth.revision());
    for name in auth.users() {
        let user = auth.user(name).unwrap();
        let password = user.password().map_or("none", |hash| hash.as_str());
        let roles: Vec<_> = user.roles().collect();
        text += &format!("\n  user {name} password={password} since={} {roles:?}", user.credentials());
    }
    for name in auth.roles() {
        text += &format!("\n  role {name}");
        for (PermissionRange { key, range_end }, access) in auth.role(name).unwrap().permissions() {
            let access = match access {
                Access::Read => "read",
                Access::Write => "write",
                Access::ReadWrite => "readwrite",
            };
            text += &format!(" {access}{:?}", (key, range_end));
        }
    }
    text
}

pub(crate) fn error(error: &CommandError) -> String {
    format!("refused: {error}")
}

fn txn(txn: &TxnResponse, indent: &str) -> String {
    let branch = if txn.succeeded { "" } else { " (else)" };
    let mut text = branch.to_owned();
    let ops: Vec<_> = txn.responses.iter().map(|response| op(response, indent)).collect();
    for same in ops.chunk_by(|a, b| a == b) {
        let times = if same.len() > 1 { format!("{} times ", same.len()) } else { String::new() };
        text += &format!("\n{indent}  {times}{}", same[0]);
    }
    text
}

fn op(response: &OpResponse, indent: &str) -> String {
    match response {
        OpResponse::Range(answer) => range(answer).replace('\n', &format!("\n{indent}  ")),
        OpResponse::Put(None) => "put".to_owned(),
        OpResponse::Put(Some(previous)) => format!("put over {}", key_value(previous)),
        OpResponse::DeleteRange { deleted, prev_kvs } => {
            let gone = prev_kvs.iter().map(|kv| format!("\n{indent}    {}", key_value(kv)));
            format!("deleted {deleted}{}", gone.collect::<String>())
        }
        OpResponse::Txn(nested) => format!("txn{}", txn(nested, &format!("{indent}  "))),
    }
}

pub(crate) fn range(answer: &RangeResponse) -> String {
    let more = if answer.more { " more" } else { "" };
    let kvs = answer.kvs.iter().map(|kv| format!("\n  {}", key_value(kv)));
    format!("count={}{more}{}", answer.count, kvs.collect::<String>())
}

fn key_value(kv: &KeyValue) -> String {
    let lease = if kv.lease.is_none() { String::new() } else { format!(" lease={}", kv.lease) };
    let (key, value) = (text(&kv.key), text(&kv.value));
    format!(
        "{key}={value} create={} mod={} version={}{lease}",
        kv.create_revision, kv.mod_revision, kv.version
    )
}

pub(crate) fn change(change: &Change, previous: Option<&KeyValue>) -> String {
    let over = previous.map_or(String::new(), |kv| format!(" over {}", key_value(kv)));
    match change.kind {
        ChangeKind::Put => format!("put {}{over}", key_value(&change.kv)),
        ChangeKind::Delete => format!("delete {} mod={}{over}", text(&change.kv.key), change.kv.mod_revision),
    }
}

pub(crate) fn header(header: &Header) -> String {
    format!("revision={} compacted={} hash={:016x}", header.revision, header.compacted, header.hash)
}

pub(crate) fn change_id(id: ChangeId) -> String {
    if id.sub == u32::MAX { format!("all of {}", id.revision) } else { id.to_string() }
}

pub(crate) fn lease(lease: &Lease, keys: &[Bytes]) -> String {
    let keys = keys.iter().map(|key| format!(" {}", text(key)));
    format!("{} ttl={}s:{}", lease.id, lease.ttl_seconds, keys.collect::<String>())
}

pub(crate) fn lines(lines: impl Iterator<Item = String>) -> String {
    let lines: Vec<_> = lines.collect();
    if lines.is_empty() { "none".to_owned() } else { lines.join("\n") }
}

fn text(bytes: &Bytes) -> String {
    bytes.escape_ascii().to_string().replace("\\x00", "\\0")
}
