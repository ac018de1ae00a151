//! What the output of a task or cleanup means: success, or a failure with a text for a human.

use std::any::Any;
use std::fmt::Display;

/// The output of a supervised task or cleanup: `()` or `Result<(), impl Display>`.
pub trait TaskEnd: Send + 'static {
    /// Why it failed; `None` if it did not.
    fn failure(self) -> Option<String>;
}

impl TaskEnd for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<E: Display + Send + 'static> TaskEnd for Result<(), E> {
    fn failure(self) -> Option<String> {
        // The alternate form prints an error's whole chain where the type knows how.
        self.err().map(|error| format!("{error:#}"))
    }
}

/// The text of a panic.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("(no text)"))
}
