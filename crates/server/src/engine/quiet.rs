//! Panics of an engine's library as values. A model's file or a request's data can make tract panic, so every call into it is
//! caught here; the panic's text becomes the error, and nothing is written to stderr.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Runs `work`; if it panics, gives what the panic said. The panics of other code keep the hook they had.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if QUIET.get() {
                let said = info.payload_as_str().unwrap_or("no message").to_owned();
                SAID.set(Some(said));
            } else {
                before(info);
            }
        }));
    });
    let outer = QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(outer);
    result.map_err(|_| SAID.take().unwrap_or_else(|| "panic without a message".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_value() {
        assert_eq!(catch(|| 3), Ok(3));
        assert_eq!(catch(|| panic!("lost {}", 7)), Err::<(), _>("lost 7".to_owned()));
        assert_eq!(catch(|| catch(|| panic!("inner"))), Ok(Err::<(), _>("inner".to_owned())));
        assert!(!QUIET.get());
    }
}
