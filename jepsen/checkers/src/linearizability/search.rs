//! The search for an order of one key's steps.
//!
//! In: steps. Out: whether an order exists in which each takes effect between its beginning and its end and sees what
//! it saw. The method is Wing and Gong's, with Lowe's memory of what was tried: a set of steps that took effect,
//! together with the state after them, is tried once. A set is remembered as the exclusive or of its members' random
//! numbers (128 bits, so that two sets never meet).
//!
//! Three things keep it short. A step that only looks and may go now, goes now: no other choice can need it later.
//! Revisions order the steps that have them. And of steps that may never take effect, the fewer the better: one is
//! taken only if the next step sees it (else it could be left out), what was tried with some of them need not be tried
//! with more, and of those that are alike the first one will do.
//!
//! Deliberately absent: recursion; a history of a million steps must not overflow a stack.

mod remaining;

use rustc_hash::{FxHashMap, FxHashSet};

use super::step::{Sees, State, Step, Then};
use remaining::{Orders, Ring};

/// How many states are tried before the search gives up.
pub(super) const MAX_STATES: usize = 5_000_000;

/// What came out.
#[derive(Debug)]
pub(super) enum Searched {
    Linearizable,
    Stuck(Stuck),
    GaveUp,
}

/// Where the longest order came to its end.
#[derive(Debug)]
pub(super) struct Stuck {
    /// How many steps took effect.
    pub(super) done: usize,
    /// The step that has to go and cannot.
    pub(super) step: usize,
    /// Whether revisions forbid it; else what it saw does.
    pub(super) out_of_turn: bool,
    pub(super) state: State,
    /// The last step that changed the key.
    pub(super) changed_by: Option<usize>,
}

/// Looks for an order.
pub(super) fn search(steps: &[Step]) -> Searched {
    Search::new(steps).run()
}

/// A place among the candidates of one moment, in the order in which they are tried.
#[derive(Clone, Copy)]
enum Cursor {
    /// Steps that only look come first.
    Looks,
    /// Then those that must take effect some time, from this node of the ring on.
    Ring(usize),
    /// Then those that need not, from this place on.
    Optional(usize),
}

struct Frame {
    step: usize,
    before: State,
    /// Where to go on if this choice was wrong; `None`: there was no other.
    next: Option<Cursor>,
}

struct Search<'a> {
    steps: &'a [Step],
    ring: Ring,
    orders: Orders,
    /// Steps that may never take effect, by the time of their invocation.
    optional: Vec<usize>,
    /// For each step the optional one before it that does the same.
    twins: Vec<Option<usize>>,
    used: Vec<bool>,
    remaining: usize,
    state: State,
    /// Of the steps that must take effect, those that did.
    members: u128,
    /// Of the others, in order.
    extra: Vec<u32>,
    /// For each set and state the extra steps that it was tried with.
    tried: FxHashMap<(u128, State), Vec<Box<[u32]>>>,
    tried_count: usize,
    frames: Vec<Frame>,
    stuck: Option<Stuck>,
}

impl<'a> Search<'a> {
    fn new(steps: &'a [Step]) -> Self {
        let mut optional: Vec<usize> = (0..steps.len()).filter(|&step| !steps[step].must).collect();
        optional.sort_by_key(|&step| steps[step].invoked);
        Self {
            steps,
            ring: Ring::new(steps),
            orders: Orders::new(steps),
            used: vec![false; steps.len()],
            remaining: steps.len() - optional.len(),
            twins: twins(steps, &optional),
            optional,
            state: State::Absent,
            members: 0,
            extra: Vec::new(),
            tried: FxHashMap::default(),
            tried_count: 0,
            frames: Vec::new(),
            stuck: None,
        }
    }

    fn run(mut self) -> Searched {
        let mut cursor = Cursor::Looks;
        while self.remaining > 0 {
            if self.tried_count > MAX_STATES {
                return Searched::GaveUp;
            }
            if let Some((step, next)) = self.candidate(cursor) {
                cursor = self.take(step, next);
                continue;
            }
            self.note_stuck();
            match self.back() {
                Some(next) => cursor = next,
                None => return self.stuck.map_or(Searched::GaveUp, Searched::Stuck),
            }
        }
        Searched::Linearizable
    }

    /// The next step that may go now, and where to look for another one instead.
    fn candidate(&self, cursor: Cursor) -> Option<(usize, Option<Cursor>)> {
        match cursor {
            Cursor::Looks => match self.window(self.ring.first()).find(|&step| self.may_look(step)) {
                Some(step) => Some((step, None)),
                None => self.candidate(Cursor::Ring(self.ring.first())),
            },
            Cursor::Ring(node) => match self.window(node).find(|&step| self.may_go(step)) {
                Some(step) => Some((step, Some(Cursor::Ring(self.ring.next[Ring::call(step)])))),
                None => self.candidate(Cursor::Optional(0)),
            },
            Cursor::Optional(from) => {
                let limit = self.first_return();
                let due = self.optional[from..].iter().take_while(|&&step| self.steps[step].invoked <= limit);
                let is_first =
                    |step: usize| !self.used[step] && self.twins[step].is_none_or(|twin| self.used[twin]);
                let found = due.enumerate().find(|&(_, &step)| is_first(step) && self.may_go(step));
                found.map(|(skipped, &step)| (step, Some(Cursor::Optional(from + skipped + 1))))
            }
        }
    }

    /// The steps that have begun before the first one has to end, from a node on.
    fn window(&self, node: usize) -> impl Iterator<Item = usize> {
        let nodes = std::iter::successors(Some(node), |&node| Some(self.ring.next[node]));
        nodes.map_while(|node| self.ring.call_of(node))
    }

    /// When the first step has to end.
    fn first_return(&self) -> u64 {
        let mut node = self.ring.first();
        while self.ring.call_of(node).is_some() {
            node = self.ring.next[node];
        }
        self.ring.return_of(node).map_or(u64::MAX, |step| self.steps[step].returned)
    }

    fn may_look(&self, step: usize) -> bool {
        self.steps[step].is_pure() && self.may_go(step)
    }

    fn may_go(&self, step: usize) -> bool {
        let Step { sees, .. } = self.steps[step];
        let must_see = self.frames.last().is_some_and(|frame| !self.steps[frame.step].must);
        self.orders.allow(step) && sees.allows(self.state) && !(must_see && sees == Sees::Anything)
    }

    /// Lets a step take effect, unless what comes of it was tried before. Returns where to go on.
    fn take(&mut self, step: usize, next: Option<Cursor>) -> Cursor {
        let before = self.state;
        self.set(step);
        self.state = self.steps[step].then.after(before);
        if let Some(next) = next
            && !self.is_new()
        {
            self.unset(step);
            self.state = before;
            return next;
        }
        self.frames.push(Frame { step, before, next });
        Cursor::Looks
    }

    /// Undoes choices up to the last one that had another.
    fn back(&mut self) -> Option<Cursor> {
        while let Some(Frame { step, before, next }) = self.frames.pop() {
            self.unset(step);
            self.state = before;
            if next.is_some() {
                return next;
            }
        }
        None
    }

    /// Remembers where the search is; false when it was there before with no more extra steps than now.
    fn is_new(&mut self) -> bool {
        let known = self.tried.entry((self.members, self.state)).or_default();
        let within = |fewer: &[u32]| fewer.iter().all(|step| self.extra.binary_search(step).is_ok());
        if known.iter().any(|fewer| within(fewer)) {
            return false;
        }
        known.push(self.extra.clone().into_boxed_slice());
        self.tried_count += 1;
        true
    }

    fn set(&mut self, step: usize) {
        self.used[step] = true;
        if self.steps[step].must {
            self.members ^= number(step);
            self.remaining -= 1;
            self.ring.lift(step);
            self.orders.lift(step);
        } else {
            let place = self.extra.partition_point(|&other| (other as usize) < step);
            self.extra.insert(place, step as u32);
        }
    }

    fn unset(&mut self, step: usize) {
        self.used[step] = false;
        if self.steps[step].must {
            self.members ^= number(step);
            self.remaining += 1;
            self.ring.unlift(step);
            self.orders.unlift(step);
        } else {
            self.extra.retain(|&other| other as usize != step);
        }
    }

    /// Remembers the longest order so far, with the step that ended it: one whose turn it is by the revisions, else
    /// one that has begun, else the first that is left.
    fn note_stuck(&mut self) {
        let done = self.frames.len();
        if self.stuck.as_ref().is_some_and(|stuck| stuck.done >= done) {
            return;
        }
        let first = self.ring.first();
        let turn = self.window(first).find(|&step| self.orders.is_turn_of(step));
        let due = turn.or_else(|| {
            let mut node = first;
            while self.ring.call_of(node).is_some() {
                node = self.ring.next[node];
            }
            self.ring.return_of(node)
        });
        let step = due.or_else(|| self.ring.call_of(first));
        let changed_by =
            self.frames.iter().rev().map(|frame| frame.step).find(|&step| !self.steps[step].is_pure());
        self.stuck = step.map(|step| Stuck {
            done,
            step,
            out_of_turn: !self.orders.allow(step),
            state: self.state,
            changed_by,
        });
    }
}

/// Deletes are alike, and so are writes whose values nobody sees.
fn twins(steps: &[Step], optional: &[usize]) -> Vec<Option<usize>> {
    let seen: FxHashSet<u64> = steps
        .iter()
        .filter_map(|step| match step.sees {
            Sees::Version { value, .. } => Some(value),
            Sees::Anything | Sees::Absent | Sees::Present | Sees::Revision(_) => None,
        })
        .collect();
    let revisions_matter = steps.iter().any(|step| matches!(step.sees, Sees::Revision(_)));
    let mut twins = vec![None; steps.len()];
    let (mut last_delete, mut last_put) = (None, None);
    for &step in optional {
        let last = match (steps[step].sees, steps[step].then) {
            (Sees::Present, Then::Delete) => &mut last_delete,
            (Sees::Anything, Then::Put { value, .. }) if !revisions_matter && !seen.contains(&value) => {
                &mut last_put
            }
            _ => continue,
        };
        twins[step] = last.replace(step);
    }
    twins
}

/// A random number for each step (splitmix64, twice).
fn number(step: usize) -> u128 {
    let mix = |seed: u64| {
        let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let step = step as u64;
    u128::from(mix(2 * step + 1)) << 64 | u128::from(mix(2 * step + 2))
}
