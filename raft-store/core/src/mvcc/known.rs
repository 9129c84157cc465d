//! What is known of keys without a search in the engine, which costs more than all the rest of a put's work on the state.
//!
//! In: what every revision has changed, and, a little at a time, which keys the engine holds (the survey). Out: of a key what a
//! put or a compare has to know of it: its newest version, or that there is none.
//!
//! * **N1** What is known is what the engine would answer, with the revisions taken in: nothing depends on what is not known (A3).
//! * **N2** A key is said not to exist only after a survey has passed all keys; whatever was created since it began was taken
//!   in, whatever was deleted may be held to exist.
//!
//! Deliberately absent: values, which reads take from the engine; anything on the disk. A replica that starts knows nothing, and
//! its first survey reads all keys once, in the background: `raft-store/server/src/store/surveyor.rs`.

mod filter;
mod latest;

use crate::{
    engine::{EngineError, Family, Read},
    mutant::{self, Mutant},
    schema::{self, ChangeKind},
    watch::RevisionChanges,
};

use filter::KeyFilter;
pub(crate) use latest::Head;
use latest::Latest;

/// A survey is made anew when as many deleted keys are held to exist as there were keys, and at least so many.
const FORGOTTEN_AT_LEAST: usize = 1 << 20;

/// What a step of a survey reads at most, bytes: large values make a step short.
const STEP_BYTES: usize = 256 << 10;

/// What is known of keys.
#[derive(Default)]
pub(crate) struct Known {
    latest: Latest,
    /// All keys that exist, and some that do not; `None` before the first survey has ended.
    all: Option<KeyFilter>,
    survey: Option<Survey>,
    /// Keys deleted since the last survey began.
    deleted: usize,
}

/// A survey that is under way.
struct Survey {
    /// The keys that it has passed, and all that were created meanwhile.
    found: KeyFilter,
    /// What the records of the last key that it has passed begin with; empty before the first.
    passed: Vec<u8>,
}

impl Known {
    /// The newest version of a key, if anything is known of it; inside, `None` where the key does not exist.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<Head>> {
        if let Some(known) = self.latest.get(key) {
            return Some(known);
        }
        let is_new = self.all.as_ref().is_some_and(|all| !all.may_contain(key));
        is_new.then_some(None)
    }

    /// Takes in what a revision has changed. All revisions come by, in order.
    pub(crate) fn take_in(&mut self, made: &RevisionChanges) {
        self.latest.take_in(made);
        for change in &made.changes {
            match change.kind {
                ChangeKind::Put if change.kv.version == 1 => self.created(&change.kv.key),
                ChangeKind::Put => {}
                ChangeKind::Delete => self.deleted += 1,
            }
        }
    }

    fn created(&mut self, key: &[u8]) {
        for filter in self.all.iter_mut().chain(self.survey.as_mut().map(|survey| &mut survey.found)) {
            filter.insert(key);
        }
    }

    /// Forgets the versions: what was taken in of a batch does not come about. That keys are held to exist which do not does no
    /// harm.
    pub(crate) fn forget_versions(&mut self) {
        self.latest = Latest::default();
    }

    /// Takes a step of the survey: looks at `records` at most of what `engine`, in which every change is that was taken in,
    /// holds. False where nothing is to be done.
    pub(crate) fn survey(&mut self, engine: &dyn Read, records: usize) -> Result<bool, EngineError> {
        if self.survey.is_none() && self.is_survey_due() {
            self.survey = Some(Survey { found: KeyFilter::default(), passed: Vec::new() });
            self.deleted = 0;
        }
        let Some(survey) = &mut self.survey else { return Ok(false) };
        if survey.step(engine, records)? {
            self.all = self.survey.take().map(|survey| survey.found);
        }
        Ok(true)
    }

    fn is_survey_due(&self) -> bool {
        match &self.all {
            None => true,
            Some(all) => self.deleted >= FORGOTTEN_AT_LEAST.max(all.keys() / 2),
        }
    }
}

impl Survey {
    /// Goes on with the next keys; true at the end.
    fn step(&mut self, engine: &dyn Read, records: usize) -> Result<bool, EngineError> {
        let mut cursor = engine.cursor(Family::Keys);
        match self.passed.as_slice() {
            [] => cursor.seek(&[])?,
            passed => cursor.seek(&schema::first_past(passed))?,
        }
        let (mut seen, mut bytes) = (0, 0);
        while let Some((key, value)) = cursor.entry() {
            if seen >= records || bytes >= STEP_BYTES {
                return Ok(false);
            }
            let (prefix, _) = schema::split_record_key(key)?;
            if self.passed != prefix {
                let is_left_out = mutant::is(Mutant::SurveyMisses) && seen % 4 == 1;
                if !is_left_out {
                    self.found.insert(&schema::unescape(prefix)?);
                }
                self.passed.clear();
                self.passed.extend_from_slice(prefix);
            }
            (seen, bytes) = (seen + 1, bytes + key.len() + value.len());
            cursor.next()?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
