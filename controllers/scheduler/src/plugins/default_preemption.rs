//! DefaultPreemption: pods that matter less make room for one that matters more.

use crate::diagnosis::Diagnosis;
use crate::framework::{Plugin, PostFilter, PostFiltered, Stuck};
use crate::preemption;

pub(super) struct DefaultPreemption;

impl Plugin for DefaultPreemption {
    fn name(&self) -> &'static str {
        "DefaultPreemption"
    }
}

impl PostFilter for DefaultPreemption {
    fn post_filter(&self, stuck: &Stuck<'_>, diagnosis: &Diagnosis) -> PostFiltered {
        let mut result = preemption::plan(stuck, diagnosis);
        result.message = result.message.map(|message| format!("preemption: {message}"));
        result
    }
}
