//! Panics, noticed wherever they are caught.
//!
//! tokio and openraft both catch what panics in a task, and go on. In: nothing. Out: what has panicked on this thread.

use std::{cell::RefCell, sync::Once};

thread_local! {
    static NOTED: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Begins to note this thread's panics, instead of printing them.
pub(crate) fn begin() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            tracing::error!("{panic}");
            let is_noted = NOTED.with_borrow_mut(|noted| match noted {
                Some(noted) => {
                    noted.push(panic.to_string().replace('\n', " "));
                    true
                }
                None => false,
            });
            if !is_noted {
                print(panic);
            }
        }));
    });
    NOTED.set(Some(Vec::new()));
}

/// What has panicked since [`begin`]; from now on panics are printed again.
pub(crate) fn end() -> Vec<String> {
    NOTED.take().unwrap_or_default()
}
