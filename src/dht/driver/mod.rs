//! The task that owns the swarm: answers others' questions from the book, asks ours, and minds the connections.
//!
//! It decides nothing about records (`record` does) and keeps no thread waiting: whatever takes long is somebody's future.

mod answering;
mod counting;
mod meeting;
mod minding;
mod task;

pub(crate) use task::Driver;
