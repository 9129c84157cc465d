//! The search for an order of one key's steps.
//!
//! In: steps. Out: whether an order exists in which each takes effect between its beginning and its end and sees what
//! it saw. The method is Wing and Gong's, with Lowe's memory of what was tried: a set of steps that took effect,
//! together with the state after them, is tried once.
//!
//! Three things keep it short. A step that only looks and may go now, goes now: no other choice can need it later.
//! Revisions order the steps that have them. And a set is remembered as the exclusive or of its members' random
//! numbers (128 bits, so that two sets never meet).
//!
//! Deliberately absent: recursion; a history of a million steps must not overflow a stack.

use rustc_hash::FxHashSet;

use super::step::{State, Step};

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
    used: Vec<bool>,
    remaining: usize,
    state: State,
    members: u128,
    tried: FxHashSet<(u128, State)>,
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
            optional,
            state: State::Absent,
            members: 0,
            tried: FxHashSet::default(),
            frames: Vec::new(),
            stuck: None,
        }
    }

    fn run(mut self) -> Searched {
        let mut cursor = Cursor::Looks;
        while self.remaining > 0 {
            if self.tried.len() > MAX_STATES {
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
                let found = due.enumerate().find(|&(_, &step)| !self.used[step] && self.may_go(step));
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
        self.orders.allow(step) && self.steps[step].sees.allows(self.state)
    }

    /// Lets a step take effect, unless what comes of it was tried before. Returns where to go on.
    fn take(&mut self, step: usize, next: Option<Cursor>) -> Cursor {
        let after = self.steps[step].then.after(self.state);
        let members = self.members ^ number(step);
        if let Some(next) = next
            && !self.tried.insert((members, after))
        {
            return next;
        }
        self.frames.push(Frame { step, before: self.state, next });
        (self.state, self.members) = (after, members);
        self.used[step] = true;
        if self.steps[step].must {
            self.remaining -= 1;
            self.ring.lift(step);
            self.orders.lift(step);
        }
        Cursor::Looks
    }

    /// Undoes choices up to the last one that had another.
    fn back(&mut self) -> Option<Cursor> {
        while let Some(Frame { step, before, next }) = self.frames.pop() {
            self.state = before;
            self.members ^= number(step);
            self.used[step] = false;
            if self.steps[step].must {
                self.remaining += 1;
                self.ring.unlift(step);
                self.orders.unlift(step);
            }
            if next.is_some() {
                return next;
            }
        }
        None
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

/// Beginnings and ends of the steps that are left, in order of time: a ring of nodes, from which a step is lifted when
/// it takes effect, and put back when that is undone.
struct Ring {
    next: Vec<usize>,
    previous: Vec<usize>,
    /// Whether a step has an end.
    ends: Vec<bool>,
}

impl Ring {
    fn new(steps: &[Step]) -> Self {
        let mut events = Vec::with_capacity(2 * steps.len());
        for (number, step) in steps.iter().enumerate().filter(|(_, step)| step.must) {
            events.push((step.invoked, false, Self::call(number)));
            if step.returned != super::step::OPEN {
                events.push((step.returned, true, Self::call(number) + 1));
            }
        }
        // Steps that touch in time are concurrent: at one moment, beginnings come first.
        events.sort_unstable();
        let head = 2 * steps.len();
        let (mut next, mut previous) = (vec![head; head + 1], vec![head; head + 1]);
        let mut last = head;
        for (_, _, node) in events {
            (next[last], previous[node]) = (node, last);
            last = node;
        }
        (next[last], previous[head]) = (head, last);
        let ends = steps.iter().map(|step| step.returned != super::step::OPEN).collect();
        Self { next, previous, ends }
    }

    fn call(step: usize) -> usize {
        2 * step
    }

    fn head(&self) -> usize {
        self.next.len() - 1
    }

    fn first(&self) -> usize {
        self.next[self.head()]
    }

    /// The step that begins at this node.
    fn call_of(&self, node: usize) -> Option<usize> {
        (node != self.head() && node.is_multiple_of(2)).then_some(node / 2)
    }

    /// The step that ends at this node.
    fn return_of(&self, node: usize) -> Option<usize> {
        (node != self.head() && !node.is_multiple_of(2)).then_some(node / 2)
    }

    fn lift(&mut self, step: usize) {
        self.unlink(Self::call(step));
        if self.ends[step] {
            self.unlink(Self::call(step) + 1);
        }
    }

    fn unlift(&mut self, step: usize) {
        if self.ends[step] {
            self.link(Self::call(step) + 1);
        }
        self.link(Self::call(step));
    }

    fn unlink(&mut self, node: usize) {
        let (before, after) = (self.previous[node], self.next[node]);
        (self.next[before], self.previous[after]) = (after, before);
    }

    fn link(&mut self, node: usize) {
        let (before, after) = (self.previous[node], self.next[node]);
        (self.next[before], self.previous[after]) = (node, node);
    }
}

/// Whose turn it is by the store's revisions.
struct Orders {
    /// For each step its place among the distinct orders; `None`: any time.
    places: Vec<Option<usize>>,
    /// For each place how many steps are left.
    left: Vec<usize>,
    /// The first place with steps left.
    current: usize,
}

impl Orders {
    fn new(steps: &[Step]) -> Self {
        let mut distinct: Vec<_> =
            steps.iter().filter(|step| step.must).filter_map(|step| step.order).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let mut left = vec![0; distinct.len()];
        let place = |step: &Step| {
            let place =
                step.order.filter(|_| step.must).and_then(|order| distinct.binary_search(&order).ok())?;
            left[place] += 1;
            Some(place)
        };
        let places = steps.iter().map(place).collect();
        Self { places, left, current: 0 }
    }

    fn allow(&self, step: usize) -> bool {
        self.places[step].is_none_or(|place| place == self.current)
    }

    fn is_turn_of(&self, step: usize) -> bool {
        self.places[step] == Some(self.current)
    }

    fn lift(&mut self, step: usize) {
        let Some(place) = self.places[step] else { return };
        self.left[place] -= 1;
        while self.left.get(self.current) == Some(&0) {
            self.current += 1;
        }
    }

    fn unlift(&mut self, step: usize) {
        let Some(place) = self.places[step] else { return };
        self.left[place] += 1;
        self.current = self.current.min(place);
    }
}
