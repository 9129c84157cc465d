//! The language of the dialogues.
//!
//! ```text
//! put KEY VALUE [lease=N] [prev] [ignore-value] [ignore-lease]
//! get RANGE [rev=N] [limit=N] [sort=key|version|create|mod|value] [desc] [keys] [count]
//!           [min-mod=N] [max-mod=N] [min-create=N] [max-create=N]
//! del RANGE [prev]
//! txn [if COMPARE...] [then OP ; OP ...] [else OP ; OP ...]      an OP is put, get, del or { a transaction }
//! grant ID SECONDS | revoke ID | leases
//! compact N | sweep | sweep N (one step of N changes) | records | header | reopen
//! auth enable|disable | user add NAME [HASH] | user password NAME HASH | user delete NAME | user grant|revoke NAME ROLE
//! role add|delete NAME | role grant NAME read|write|readwrite RANGE | role revoke NAME RANGE | token-key | users
//! as NAME COMMAND | as NAME@REVISION COMMAND | system COMMAND
//! window BYTES (a new hub) | watch NAME RANGE [from=N] [no-put] [no-delete] | poll NAME
//! ```
//!
//! RANGE is `key`, `[start,end)` or `[start,)`; COMPARE is `mod(RANGE)=3`, with version, create, mod, value or
//! lease and `=`, `!=`, `<` or `>`. `\0` is a zero byte, `""` is nothing, `N*put k# v` is N puts with
//! `#` counting up from 1.

use bytes::Bytes;
use keelson_store_core::{
    command::{
        Access, AuthCommand, Command, Compare, DeleteRangeRequest, KeyRange, Op, Operand, PasswordHash,
        Permission, PermissionRange, PutRequest, RangeRequest, Relation, Sort, SortBy, TokenKey, Txn,
    },
    id::{AuthRevision, LeaseId, Revision},
    watch::Interest,
};

/// One command of a dialogue.
pub(crate) enum Line {
    Command(Command),
    /// As a user, recognized in the newest revision of users and roles or in another one.
    As {
        name: String,
        recognized: Option<AuthRevision>,
        line: Box<Line>,
    },
    System(Box<Line>),
    Get(RangeRequest),
    Leases,
    Users,
    Sweep {
        max_changes: usize,
        all: bool,
    },
    Records,
    Header,
    Reopen,
    Window(usize),
    Watch {
        name: String,
        interest: Interest,
        start: Revision,
    },
    Poll(String),
}

pub(crate) fn line(text: &str) -> Line {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut rest = &words[1..];
    match words[0] {
        "put" | "del" => Line::Command(Command::Txn(Txn { success: ops(&mut &words[..]), ..Txn::default() })),
        "txn" => Line::Command(Command::Txn(txn(&mut rest))),
        "get" => Line::Get(get(rest)),
        "grant" => {
            let (id, ttl_seconds) = (LeaseId::new(number(rest[0])), number(rest[1]));
            Line::Command(Command::LeaseGrant { id, ttl_seconds })
        }
        "revoke" => Line::Command(Command::LeaseRevoke(LeaseId::new(number(rest[0])))),
        "compact" => Line::Command(Command::Compact(Revision::new(number(rest[0])))),
        "auth" | "user" | "role" | "token-key" => Line::Command(Command::Auth(auth(&words))),
        "as" => {
            let (name, recognized) = match rest[0].split_once('@') {
                Some((name, revision)) => (name, Some(AuthRevision::new(number(revision)))),
                None => (rest[0], None),
            };
            let line = Box::new(line(&rest[1..].join(" ")));
            Line::As { name: name.to_owned(), recognized, line }
        }
        "system" => Line::System(Box::new(line(&rest.join(" ")))),
        "leases" => Line::Leases,
        "users" => Line::Users,
        "sweep" => Line::Sweep { max_changes: rest.first().map_or(100, |n| number(n)), all: rest.is_empty() },
        "records" => Line::Records,
        "header" => Line::Header,
        "reopen" => Line::Reopen,
        "window" => Line::Window(number(rest[0])),
        "poll" => Line::Poll(rest[0].to_owned()),
        "watch" => Line::Watch {
            name: rest[0].to_owned(),
            start: revision(rest, "from"),
            interest: Interest {
                range: range(rest[1]),
                no_put: rest.contains(&"no-put"),
                no_delete: rest.contains(&"no-delete"),
            },
        },
        other => panic!("no such command: {other}"),
    }
}

fn auth(words: &[&str]) -> AuthCommand {
    let text = |at: usize| String::from_utf8(bytes(words[at]).to_vec()).expect("text");
    let hash = |at: usize| PasswordHash::new(words[at].to_owned());
    match words[..2.min(words.len())] {
        ["token-key"] => AuthCommand::SetTokenKey(TokenKey::new([7; 32])),
        ["auth", "enable"] => AuthCommand::Enable,
        ["auth", "disable"] => AuthCommand::Disable,
        ["user", "add"] => {
            AuthCommand::UserAdd { name: text(2), password: (words.len() > 3).then(|| hash(3)) }
        }
        ["user", "delete"] => AuthCommand::UserDelete(text(2)),
        ["user", "password"] => AuthCommand::UserChangePassword { name: text(2), password: hash(3) },
        ["user", "grant"] => AuthCommand::UserGrantRole { user: text(2), role: text(3) },
        ["user", "revoke"] => AuthCommand::UserRevokeRole { user: text(2), role: text(3) },
        ["role", "add"] => AuthCommand::RoleAdd(text(2)),
        ["role", "delete"] => AuthCommand::RoleDelete(text(2)),
        ["role", "grant"] => {
            let access = match words[3] {
                "read" => Access::Read,
                "write" => Access::Write,
                _ => Access::ReadWrite,
            };
            let permission = Permission { range: permission_range(words[4]), access };
            AuthCommand::RoleGrantPermission { role: text(2), permission }
        }
        ["role", "revoke"] => {
            AuthCommand::RoleRevokePermission { role: text(2), range: permission_range(words[3]) }
        }
        _ => panic!("no such command: {words:?}"),
    }
}

fn permission_range(word: &str) -> PermissionRange {
    match range(word) {
        KeyRange::Single(key) => PermissionRange { key, range_end: Bytes::new() },
        KeyRange::Span { start, end } => PermissionRange { key: start, range_end: end },
        KeyRange::From(start) => PermissionRange { key: start, range_end: "\0".into() },
    }
}

/// Takes a transaction off the words, up to a `}` or the end.
fn txn(words: &mut &[&str]) -> Txn {
    let mut txn = Txn::default();
    while let Some((&word, rest)) = words.split_first() {
        if word == "}" {
            break;
        }
        *words = rest;
        match word {
            "if" => {
                let end = words.iter().position(|word| matches!(*word, "then" | "else" | "}"));
                let (compares, rest) = words.split_at(end.unwrap_or(words.len()));
                txn.compare = compares.iter().map(|word| compare(word)).collect();
                *words = rest;
            }
            "then" => txn.success = ops(words),
            "else" => txn.failure = ops(words),
            other => panic!("if, then or else, not {other}"),
        }
    }
    txn
}

/// Takes operations off the words, up to `else`, a `}` or the end.
fn ops(words: &mut &[&str]) -> Vec<Op> {
    let mut ops = Vec::new();
    while let Some((&word, rest)) = words.split_first() {
        match word {
            "else" | "}" => break,
            ";" => *words = rest,
            "{" => {
                *words = rest;
                ops.push(Op::Txn(txn(words)));
                *words = words.strip_prefix(&["}"]).expect("a closing brace");
            }
            _ => {
                let end = words.iter().position(|word| matches!(*word, ";" | "else" | "}"));
                let (one, rest) = words.split_at(end.unwrap_or(words.len()));
                ops.extend(repeated(one));
                *words = rest;
            }
        }
    }
    ops
}

/// One operation, or with `N*` in front that many, `#` counting up from 1.
fn repeated(words: &[&str]) -> Vec<Op> {
    let Some((times, name)) = words[0].split_once('*') else { return vec![op(words[0], &words[1..])] };
    let counted =
        |n: usize| words[1..].iter().map(|word| word.replace('#', &n.to_string())).collect::<Vec<_>>();
    let times: usize = number(times);
    (1..=times).map(|n| op(name, &counted(n).iter().map(String::as_str).collect::<Vec<_>>())).collect()
}

fn op(name: &str, rest: &[&str]) -> Op {
    match name {
        "put" => Op::Put(PutRequest {
            key: bytes(rest[0]),
            value: bytes(rest[1]),
            lease: LeaseId::new(option(rest, "lease").map_or(0, number)),
            prev_kv: rest.contains(&"prev"),
            ignore_value: rest.contains(&"ignore-value"),
            ignore_lease: rest.contains(&"ignore-lease"),
        }),
        "del" => {
            Op::DeleteRange(DeleteRangeRequest { range: range(rest[0]), prev_kv: rest.contains(&"prev") })
        }
        "get" => Op::Range(get(rest)),
        other => panic!("no such operation: {other}"),
    }
}

fn get(words: &[&str]) -> RangeRequest {
    let by = option(words, "sort").map(|by| match by {
        "key" => SortBy::Key,
        "version" => SortBy::Version,
        "create" => SortBy::Create,
        "mod" => SortBy::Mod,
        "value" => SortBy::Value,
        other => panic!("cannot sort by {other}"),
    });
    RangeRequest {
        revision: revision(words, "rev"),
        limit: option(words, "limit").map_or(0, number),
        sort: by.map(|by| Sort { by, descending: words.contains(&"desc") }),
        keys_only: words.contains(&"keys"),
        count_only: words.contains(&"count"),
        min_mod_revision: revision(words, "min-mod"),
        max_mod_revision: revision(words, "max-mod"),
        min_create_revision: revision(words, "min-create"),
        max_create_revision: revision(words, "max-create"),
        ..RangeRequest::new(range(words[0]))
    }
}

fn compare(word: &str) -> Compare {
    let (target, rest) = word.split_once('(').expect("target(range)");
    // The last parenthesis: the range may hold one.
    let relation_at = rest.rfind(['=', '<', '>']).expect("a relation");
    let (left, operand) = (&rest[..relation_at], &rest[relation_at + 1..]);
    let (left, relation) = match (&rest[relation_at..=relation_at], left.strip_suffix('!')) {
        ("=", Some(left)) => (left, Relation::NotEqual),
        ("=", None) => (left, Relation::Equal),
        ("<", _) => (left, Relation::Less),
        _ => (left, Relation::Greater),
    };
    let operand = match target {
        "version" => Operand::Version(number(operand)),
        "create" => Operand::CreateRevision(Revision::new(number(operand))),
        "mod" => Operand::ModRevision(Revision::new(number(operand))),
        "value" => Operand::Value(bytes(operand)),
        "lease" => Operand::Lease(LeaseId::new(number(operand))),
        other => panic!("no such target: {other}"),
    };
    Compare { range: range(left.strip_suffix(')').expect("target(range)")), relation, operand }
}

fn range(word: &str) -> KeyRange {
    let Some(span) = word.strip_prefix('[') else { return KeyRange::Single(bytes(word)) };
    let (start, end) = span.split_once(',').expect("[start,end)");
    match end.strip_suffix(')').expect("[start,end)") {
        "" => KeyRange::From(bytes(start)),
        end => KeyRange::Span { start: bytes(start), end: bytes(end) },
    }
}

fn bytes(word: &str) -> Bytes {
    if word == "\"\"" { Bytes::new() } else { word.replace("\\0", "\0").into() }
}

fn revision(words: &[&str], name: &str) -> Revision {
    Revision::new(option(words, name).map_or(0, number))
}

fn option<'w>(words: &[&'w str], name: &str) -> Option<&'w str> {
    words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(word: &str) -> T {
    word.parse().expect("a number")
}
