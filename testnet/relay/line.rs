//! A line that takes a fixed time to cross: what enters comes out after `hold`, in order, and only so much is on it.
//!
//! Bytes are the bound, not pieces: a piece weighs its bytes and a fixed share for what the line keeps beside them.

use super::timer::sleep_until;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// What a piece weighs beside its bytes. It also bounds the number of pieces: a flood of empty datagrams fills the line.
const PIECE_OVERHEAD_BYTES: u32 = 128;

/// The far end of the line is gone.
#[derive(Debug)]
pub(crate) struct Closed;

struct Piece<T> {
    due: Instant,
    item: T,
    /// Gives its weight back to the line when the piece has left it.
    _weight: OwnedSemaphorePermit,
}

/// Where things enter the line. Clones feed the same line.
pub(crate) struct Entrance<T> {
    hold: Duration,
    capacity_bytes: u32,
    room: Arc<Semaphore>,
    // Bounded by `room`: no piece enters without its weight.
    pieces: mpsc::UnboundedSender<Piece<T>>,
}

impl<T> Clone for Entrance<T> {
    fn clone(&self) -> Self {
        Self {
            hold: self.hold,
            capacity_bytes: self.capacity_bytes,
            room: Arc::clone(&self.room),
            pieces: self.pieces.clone(),
        }
    }
}

/// Where things leave the line.
pub(crate) struct Exit<T>(mpsc::UnboundedReceiver<Piece<T>>);

/// A line that holds each piece for `hold` and at most `capacity_bytes` at a time.
pub(crate) fn line<T>(hold: Duration, capacity_bytes: u32) -> (Entrance<T>, Exit<T>) {
    let (pieces, exit) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(capacity_bytes as usize));
    (Entrance { hold, capacity_bytes, room, pieces }, Exit(exit))
}

impl<T> Entrance<T> {
    /// Puts `item` of `bytes` on the line, or drops it and says `false` when the line is full: as a router does.
    pub(crate) fn offer(&self, bytes: usize, item: T) -> bool {
        match Arc::clone(&self.room).try_acquire_many_owned(self.weight(bytes)) {
            Ok(weight) => self.enter(item, weight).is_ok(),
            Err(_) => false,
        }
    }

    /// Puts `item` of `bytes` on the line once there is room. Dropped before it is done, `item` is lost.
    pub(crate) async fn push(&self, bytes: usize, item: T) -> Result<(), Closed> {
        let room = Arc::clone(&self.room);
        let weight = tokio::select! {
            weight = room.acquire_many_owned(self.weight(bytes)) => weight.map_err(|_| Closed)?,
            () = self.pieces.closed() => return Err(Closed),
        };
        self.enter(item, weight)
    }

    /// One piece alone always fits, whatever it weighs.
    fn weight(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).saturating_add(PIECE_OVERHEAD_BYTES).min(self.capacity_bytes)
    }

    fn enter(&self, item: T, weight: OwnedSemaphorePermit) -> Result<(), Closed> {
        self.pieces.send(Piece { due: Instant::now() + self.hold, item, _weight: weight }).map_err(|_| Closed)
    }
}

impl<T> Exit<T> {
    /// The next thing to come out, when it is due; `None` once every entrance is gone and the line is empty. Dropped
    /// before it is done, the piece it waited for is lost.
    pub(crate) async fn next(&mut self) -> Option<T> {
        let piece = self.0.recv().await?;
        sleep_until(piece.due).await;
        Some(piece.item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_piece_comes_out_no_sooner_than_it_was_held() {
        let (entrance, mut exit) = line(HOLD, 1_000);
        let start = Instant::now();
        assert!(entrance.offer(1, "piece"));
        assert_eq!(exit.next().await, Some("piece"));
        assert!(start.elapsed() >= HOLD);
    }

    #[tokio::test]
    async fn order_is_kept_and_a_burst_crosses_together() {
        let (entrance, mut exit) = line(HOLD, 1_000_000);
        let start = Instant::now();
        (0..100).for_each(|n| assert!(entrance.offer(1, n)));
        drop(entrance);
        for n in 0..100 {
            assert_eq!(exit.next().await, Some(n));
        }
        assert_eq!(exit.next().await, None);
        assert!(start.elapsed() < HOLD * 100, "pieces wait for their own time, not one after the other");
    }

    #[tokio::test]
    async fn a_full_line_drops_what_is_offered_and_has_room_again_afterwards() {
        let (entrance, mut exit) = line(Duration::ZERO, 3 * PIECE_OVERHEAD_BYTES);
        assert!(entrance.offer(PIECE_OVERHEAD_BYTES as usize, 'a'));
        assert!(entrance.offer(0, 'b'));
        assert!(!entrance.offer(0, 'c'), "two weigh as much as three empty ones");
        assert_eq!(exit.next().await, Some('a'));
        assert!(entrance.offer(0, 'd'));
        assert_eq!(exit.next().await, Some('b'));
        assert_eq!(exit.next().await, Some('d'));
    }

    #[tokio::test]
    async fn a_push_waits_for_room() {
        let (entrance, mut exit) = line(Duration::ZERO, PIECE_OVERHEAD_BYTES);
        entrance.push(5_000, 1).await.unwrap();
        let second = tokio::spawn(async move { entrance.push(0, 2).await.is_ok() });
        assert_eq!(exit.next().await, Some(1));
        assert_eq!(exit.next().await, Some(2));
        assert!(second.await.unwrap());
    }

    #[tokio::test]
    async fn a_push_ends_when_the_far_end_is_gone() {
        let (entrance, exit) = line(HOLD, PIECE_OVERHEAD_BYTES);
        entrance.push(0, 1).await.unwrap();
        let waiting = tokio::spawn(async move { entrance.push(0, 2).await.is_err() });
        drop(exit);
        assert!(waiting.await.unwrap());
    }
}
