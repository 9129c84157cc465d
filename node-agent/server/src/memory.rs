//! Answers that are remembered for a while.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How many answers are remembered at most.
const CAPACITY: usize = 1024;

/// Answers by question.
#[derive(Debug)]
pub(crate) struct Memory<Q, A> {
    answers: Mutex<HashMap<Q, Remembered<A>>>,
}

#[derive(Debug)]
struct Remembered<A> {
    answer: A,
    until: Instant,
}

impl<Q: Eq + Hash, A: Clone> Memory<Q, A> {
    pub(crate) fn new() -> Self {
        Self { answers: Mutex::default() }
    }

    /// The answer to a question, if it is remembered still.
    pub(crate) fn recall(&self, question: &Q) -> Option<A> {
        let answers = self.lock();
        let remembered = answers.get(question)?;
        (Instant::now() < remembered.until).then(|| remembered.answer.clone())
    }

    /// Remembers an answer. Where there is no room, all that is remembered is forgotten: it can be asked again.
    pub(crate) fn remember(&self, question: Q, answer: A, duration: Duration) {
        let now = Instant::now();
        let mut answers = self.lock();
        if answers.len() >= CAPACITY {
            answers.retain(|_, remembered| now < remembered.until);
        }
        if answers.len() >= CAPACITY {
            answers.clear();
        }
        answers.insert(question, Remembered { answer, until: now + duration });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Q, Remembered<A>>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn answers_are_forgotten_in_time() {
        let memory = Memory::new();
        memory.remember("short", 1, MINUTE);
        memory.remember("long", 2, MINUTE * 2);
        assert_eq!((memory.recall(&"short"), memory.recall(&"other")), (Some(1), None));
        tokio::time::advance(MINUTE).await;
        assert_eq!((memory.recall(&"short"), memory.recall(&"long")), (None, Some(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_always_room() {
        let memory = Memory::new();
        for question in 0..=CAPACITY {
            memory.remember(question, (), MINUTE);
        }
        assert_eq!(memory.recall(&CAPACITY), Some(()));
        assert!(memory.lock().len() <= CAPACITY);
    }
}
