//! The room as a whole, over a source in memory.

mod files;
mod paths;
mod place;
mod trees;
