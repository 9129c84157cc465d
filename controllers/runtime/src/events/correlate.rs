//! Which events are written, and how: pure.
//!
//! In: an event as it was told, and the time. Out: an Event to create, an Event to count up, or nothing, because its
//! object has been talked about too much.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use tokio::time::Instant;

use super::RecordedEvent;

/// So many events about one object are written at once ...
const BURST: f64 = 25.0;

/// ... and from then on one in this time.
const REFILL: Duration = Duration::from_secs(5 * 60);

/// How many events and objects are remembered.
const MEMORY: usize = 4096;

/// The longest name of an object.
const LONGEST_NAME: usize = 253;

/// What to do about an event.
#[derive(Debug)]
pub(super) enum Deed {
    Drop,
    Create(Box<Event>),
    /// The Event as it should be now; it was written before.
    Repeat(Box<Event>),
}

/// Remembers what was told.
pub(super) struct Correlator {
    budgets: HashMap<Subject, Budget>,
    told: HashMap<Telling, Told>,
    last_name: i128,
}

/// Who talks about what.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Subject {
    component: &'static str,
    host: Option<String>,
    kind: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    uid: Option<String>,
    api_version: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Telling {
    subject: Subject,
    field_path: Option<String>,
    kind: &'static str,
    reason: &'static str,
    message: String,
}

struct Budget {
    tokens: f64,
    at: Instant,
}

struct Told {
    event: Box<Event>,
    at: Instant,
}

impl Correlator {
    pub(super) fn new() -> Self {
        Self { budgets: HashMap::new(), told: HashMap::new(), last_name: 0 }
    }

    pub(super) fn take_in(&mut self, recorded: &RecordedEvent, now: Instant) -> Deed {
        let subject = subject(recorded);
        if !self.spend(&subject, now) {
            return Deed::Drop;
        }
        let telling = Telling {
            subject,
            field_path: recorded.object.field_path.clone(),
            kind: recorded.kind,
            reason: recorded.reason,
            message: recorded.message.clone(),
        };
        if let Some(told) = self.told.get_mut(&telling) {
            told.at = now;
            told.event.count = told.event.count.map(|count| count.saturating_add(1));
            told.event.last_timestamp = Some(Time(recorded.at));
            return Deed::Repeat(told.event.clone());
        }
        let event = Box::new(self.event(recorded));
        forget_oldest(&mut self.told, |told| told.at);
        self.told.insert(telling, Told { event: event.clone(), at: now });
        Deed::Create(event)
    }

    /// Takes a token of the subject's, if there is one.
    fn spend(&mut self, subject: &Subject, now: Instant) -> bool {
        if !self.budgets.contains_key(subject) {
            forget_oldest(&mut self.budgets, |budget| budget.at);
            self.budgets.insert(subject.clone(), Budget { tokens: BURST, at: now });
        }
        let Some(budget) = self.budgets.get_mut(subject) else { return true };
        let earned = now.saturating_duration_since(budget.at).as_secs_f64() / REFILL.as_secs_f64();
        budget.tokens = (budget.tokens + earned).min(BURST);
        budget.at = now;
        if budget.tokens < 1.0 {
            return false;
        }
        budget.tokens -= 1.0;
        true
    }

    fn event(&mut self, recorded: &RecordedEvent) -> Event {
        let namespace = recorded.object.namespace.clone().filter(|namespace| !namespace.is_empty());
        let namespace = namespace.unwrap_or_else(|| "default".to_owned());
        let at = Time(recorded.at);
        Event {
            metadata: ObjectMeta {
                name: Some(self.name(recorded)),
                namespace: Some(namespace),
                ..ObjectMeta::default()
            },
            involved_object: recorded.object.clone(),
            reason: Some(recorded.reason.to_owned()),
            message: Some(recorded.message.clone()),
            type_: Some(recorded.kind.to_owned()),
            source: Some(EventSource {
                component: Some(recorded.component.to_owned()),
                host: recorded.host.clone(),
            }),
            reporting_component: Some(recorded.component.to_owned()),
            reporting_instance: recorded.host.clone(),
            count: Some(1),
            first_timestamp: Some(at.clone()),
            last_timestamp: Some(at),
            ..Event::default()
        }
    }

    /// The object's name and the time as a number, which makes it unique.
    fn name(&mut self, recorded: &RecordedEvent) -> String {
        self.last_name = recorded.at.as_nanosecond().max(self.last_name + 1);
        let number = format!(".{:x}", self.last_name);
        let name = object_name(&recorded.object);
        // Not all objects have names of ASCII.
        let name = &name[..name.floor_char_boundary(LONGEST_NAME - number.len())];
        format!("{}{number}", name.trim_end_matches(['.', '-']))
    }
}

fn object_name(object: &ObjectReference) -> &str {
    object.name.as_deref().unwrap_or_default()
}

fn subject(recorded: &RecordedEvent) -> Subject {
    let object = &recorded.object;
    Subject {
        component: recorded.component,
        host: recorded.host.clone(),
        kind: object.kind.clone(),
        namespace: object.namespace.clone(),
        name: object.name.clone(),
        uid: object.uid.clone(),
        api_version: object.api_version.clone(),
    }
}

/// Makes room: forgets the older half of a memory that is full.
fn forget_oldest<K: Eq + std::hash::Hash, V>(memory: &mut HashMap<K, V>, at: impl Fn(&V) -> Instant) {
    if memory.len() < MEMORY {
        return;
    }
    let mut times: Vec<Instant> = memory.values().map(&at).collect();
    let middle = times.len() / 2;
    let (_, &mut median, _) = times.select_nth_unstable(middle);
    let mut surplus = times.len() - middle;
    memory.retain(|_, value| {
        let goes = at(value) <= median && surplus > 0;
        surplus -= usize::from(goes);
        !goes
    });
}

#[cfg(test)]
mod tests;
