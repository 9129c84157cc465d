//! Wrong watches.

use keelson_checkers::history::{
    Event, History, KeyRange, Revision, Value, Watch, WatchEvent, WatchResponse,
};

use crate::model::Random;

/// A watch that has at least so many responses with events, and the places of those.
fn busy(history: &History, random: &mut Random, least: usize) -> Option<(usize, Vec<usize>)> {
    let found: Vec<(usize, Vec<usize>)> = history
        .watches
        .iter()
        .enumerate()
        .map(|(number, watch)| (number, places(watch)))
        .filter(|(_, places)| places.len() >= least)
        .collect();
    (!found.is_empty()).then(|| found[random.place(found.len())].clone())
}

fn places(watch: &Watch) -> Vec<usize> {
    let responses = watch.responses.iter().enumerate();
    responses
        .filter(|(_, response)| matches!(response.what, WatchEvent::Events(_)))
        .map(|(place, _)| place)
        .collect()
}

fn events(response: &mut WatchResponse) -> &mut Vec<Event> {
    match &mut response.what {
        WatchEvent::Events(events) => events,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn drop_event(history: &mut History, random: &mut Random) -> Option<()> {
    let (number, places) = busy(history, random, 3)?;
    let inner = places[1 + random.place(places.len() - 2)];
    let events = events(&mut history.watches[number].responses[inner]);
    let dropped = random.place(events.len());
    events.remove(dropped);
    Some(())
}

pub(crate) fn repeat_response(history: &mut History, random: &mut Random) -> Option<()> {
    let (number, places) = busy(history, random, 1)?;
    let place = places[random.place(places.len())];
    let responses = &mut history.watches[number].responses;
    let again = responses[place].clone();
    responses.insert(place + 1, again);
    Some(())
}

pub(crate) fn swap_responses(history: &mut History, random: &mut Random) -> Option<()> {
    let (number, places) = busy(history, random, 2)?;
    let place = random.place(places.len() - 1);
    let responses = &mut history.watches[number].responses;
    let later = responses[places[place + 1]].what.clone();
    let earlier = std::mem::replace(&mut responses[places[place]].what, later);
    responses[places[place + 1]].what = earlier;
    Some(())
}

pub(crate) fn split_revision(history: &mut History, _: &mut Random) -> Option<()> {
    for watch in &mut history.watches {
        for place in places(watch) {
            let events = events(&mut watch.responses[place]);
            let Some(within) = events.windows(2).position(|pair| pair[0].revision == pair[1].revision) else {
                continue;
            };
            let rest = events.split_off(within + 1);
            let response = WatchResponse { what: WatchEvent::Events(rest), ..watch.responses[place].clone() };
            watch.responses.insert(place + 1, response);
            return Some(());
        }
    }
    None
}

pub(crate) fn stray_event(history: &mut History, random: &mut Random) -> Option<()> {
    let (number, places) = busy(history, random, 1)?;
    let response = &mut history.watches[number].responses[places[0]];
    events(response)[0].key = "!".into();
    history.watches[number].range = match history.watches[number].range.clone() {
        KeyRange::From(_) => KeyRange::From("k".into()),
        other => other,
    };
    Some(())
}

pub(crate) fn wrong_previous(history: &mut History, _: &mut Random) -> Option<()> {
    let watches = history.watches.iter_mut().filter(|watch| watch.prev_kv);
    for watch in watches {
        for place in places(watch) {
            let previous =
                events(&mut watch.responses[place]).iter_mut().find_map(|event| event.previous.as_mut());
            if let Some(previous) = previous {
                previous.value = Value::Number(1 << 50);
                return Some(());
            }
        }
    }
    None
}

pub(crate) fn early_progress(history: &mut History, random: &mut Random) -> Option<()> {
    let (number, places) = busy(history, random, 2)?;
    let place = places[1 + random.place(places.len() - 1)];
    let responses = &mut history.watches[number].responses;
    let due = events(&mut responses[place]).first()?.revision;
    let at = responses[place].at;
    responses.insert(place, WatchResponse { at, header_revision: due, what: WatchEvent::Progress });
    Some(())
}

pub(crate) fn late_progress(history: &mut History, random: &mut Random) -> Option<()> {
    let (number, places) = busy(history, random, 1)?;
    let responses = &mut history.watches[number].responses;
    let sent = events(&mut responses[places[0]]).first()?.revision;
    let (at, behind) = (responses[places[0]].at, Revision(sent.0 - 1));
    let response = WatchResponse { at, header_revision: behind, what: WatchEvent::Progress };
    responses.insert(places[0] + 1, response);
    Some(())
}

/// The first event goes missing, and another one follows.
pub(crate) fn skip_first(history: &mut History, random: &mut Random) -> Option<()> {
    let (number, places) = busy(history, random, 2)?;
    let responses = &mut history.watches[number].responses;
    let first = events(&mut responses[places[0]]);
    let revision = first[0].revision;
    first.retain(|event| event.revision != revision);
    Some(())
}

pub(crate) fn late_start(history: &mut History, random: &mut Random) -> Option<()> {
    let (number, places) = busy(history, random, 1)?;
    let watch = &mut history.watches[number];
    watch.start = events(&mut watch.responses[places[0]])[0].revision.next();
    Some(())
}

pub(crate) fn future_progress(history: &mut History, random: &mut Random) -> Option<()> {
    let last = history.log.as_ref()?.last();
    let (number, places) = busy(history, random, 1)?;
    let at = history.watches[number].responses[places[0]].at;
    let response = WatchResponse { at, header_revision: Revision(last.0 + 1), what: WatchEvent::Progress };
    history.watches[number].responses.insert(places[0] + 1, response);
    Some(())
}

pub(crate) fn other_value(history: &mut History, random: &mut Random) -> Option<()> {
    let (number, places) = busy(history, random, 1)?;
    let place = places[random.place(places.len())];
    let events = events(&mut history.watches[number].responses[place]);
    events.iter_mut().find_map(|event| event.became.as_mut())?.value = Value::Number(1 << 50);
    Some(())
}
