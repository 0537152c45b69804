//! Waiting until an instant, to a tenth of a millisecond.
//!
//! Tokio's own timer counts whole milliseconds and rounds up twice, which would add 3 ms to a round trip of 50 ms and be
//! taken for the nodes' slowness. So one thread of its own waits on a condition variable, which the kernel wakes to the
//! microsecond, and wakes the tasks whose time has come.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::oneshot;

static TIMER: LazyLock<&'static Timer> = LazyLock::new(|| {
    let timer: &'static Timer = Box::leak(Box::default());
    std::thread::Builder::new()
        .name("relay-timer".to_owned())
        .spawn(|| timer.run())
        .expect("a process that serves a testnet can start one more thread");
    timer
});

/// Returns at `due` or shortly after it, never before. Dropping it halfway is safe.
pub(super) async fn sleep_until(due: Instant) {
    // One clock reading saves an entry for each piece of a burst.
    if Instant::now() < due {
        let (wake, woken) = oneshot::channel();
        TIMER.add(Entry { due, wake });
        let _ = woken.await;
    }
}

/// One task that waits. Each line waits for its first piece only, so there are at most as many as lines and handshakes.
struct Entry {
    due: Instant,
    wake: oneshot::Sender<()>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.due.cmp(&other.due)
    }
}

#[derive(Default)]
struct Timer {
    waiting: Mutex<BinaryHeap<Reverse<Entry>>>,
    sooner: Condvar,
}

impl Timer {
    fn add(&self, entry: Entry) {
        let mut waiting = self.lock();
        let is_first = waiting.peek().is_none_or(|Reverse(first)| entry.due < first.due);
        waiting.push(Reverse(entry));
        drop(waiting);
        if is_first {
            self.sooner.notify_one();
        }
    }

    fn run(&self) -> ! {
        let mut waiting = self.lock();
        loop {
            let now = Instant::now();
            while let Some(first) = waiting.peek()
                && first.0.due <= now
            {
                if let Some(Reverse(entry)) = waiting.pop() {
                    // The task may be gone.
                    let _ = entry.wake.send(());
                }
            }
            waiting = match waiting.peek().map(|first| first.0.due) {
                Some(due) => {
                    let result = self.sooner.wait_timeout(waiting, due.saturating_duration_since(now));
                    result.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.sooner.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Nothing panics while holding it, and a heap of instants has no state that a panic could break.
    fn lock(&self) -> MutexGuard<'_, BinaryHeap<Reverse<Entry>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn tasks_are_woken_in_the_order_of_their_times_and_never_early() {
        let start = Instant::now();
        let (sender, mut woken) = tokio::sync::mpsc::unbounded_channel();
        for ms in [40, 10, 30, 20, 0] {
            let sender = sender.clone();
            tokio::spawn(async move {
                let due = start + Duration::from_millis(ms);
                sleep_until(due).await;
                assert!(Instant::now() >= due);
                sender.send(ms).unwrap();
            });
        }
        drop(sender);
        let mut order = Vec::new();
        while let Some(ms) = woken.recv().await {
            order.push(ms);
        }
        assert_eq!(order, [0, 10, 20, 30, 40]);
    }

    #[tokio::test]
    async fn a_task_that_gave_up_waiting_disturbs_nobody() {
        let soon = Instant::now() + Duration::from_millis(20);
        tokio::select! {
            biased;
            () = sleep_until(soon) => panic!("20 ms cannot have passed"),
            () = std::future::ready(()) => {}
        }
        sleep_until(soon + Duration::from_millis(1)).await;
    }
}
