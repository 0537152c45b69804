//! The bar that shows a person how far a transfer is. Where nobody looks, there is none.

use crate::cli::terminal::{Form, Terminal};
use crate::reader::shown_name;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::path::Path;

const FILE: &str =
    "{msg} {bar:24} {percent:>3}% {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left";
/// How much of a name is shown, in characters.
const NAME_WIDTH: usize = 32;

/// A bar on standard error, if that is a terminal and JSON was not asked for.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// The bar of one file.
    pub(super) fn of_file(path: &Path, size: u64, terminal: &Terminal) -> Self {
        let progress = Self::of_tree(path, terminal);
        progress.begin(path, size);
        progress
    }

    /// The bar of a tree, whose files come one after the other.
    pub(super) fn of_tree(root: &Path, terminal: &Terminal) -> Self {
        let target = match terminal.form() {
            // Hidden where it is no terminal.
            Form::Text => ProgressDrawTarget::stderr(),
            Form::Json => ProgressDrawTarget::hidden(),
        };
        let style = ProgressStyle::with_template(FILE).expect("the template is well formed");
        // Nothing is drawn before the size of the first file is known.
        let bar = ProgressBar::with_draw_target(None, target).with_style(style.progress_chars("=> "));
        Self(bar.with_message(short(root)))
    }

    /// The next file begins.
    pub(super) fn begin(&self, path: &Path, size: u64) {
        self.0.set_length(size);
        self.0.set_message(short(path));
        self.0.reset();
    }

    /// So many bytes of it are there.
    pub(super) fn there(&self, bytes: u64) {
        // What an earlier attempt left behind says nothing about how fast this one is.
        if self.0.position() == 0 && bytes > 0 {
            self.0.set_position(bytes);
            self.0.reset_eta();
        } else {
            self.0.set_position(bytes);
        }
    }

    /// Says something beside the bar.
    pub(super) fn aside(&self, say: impl FnOnce()) {
        self.0.suspend(say);
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Progress {
    /// Interrupted: the line is free for what is said of that.
    fn drop(&mut self) {
        self.end();
    }
}

/// The end of a path, which is what tells one file from the next.
fn short(path: &Path) -> String {
    let name = shown_name(&path.to_string_lossy());
    let length = name.chars().count();
    match length > NAME_WIDTH {
        true => std::iter::once('…').chain(name.chars().skip(length - NAME_WIDTH + 1)).collect(),
        false => name,
    }
}
