//! What the heap keeps of what transfers let go of.
//!
//! glibc gives the end of a heap back to the system as soon as little of it is free, and takes it again page by page, each of which
//! is filled with zeros: with some megabytes of units and of TLS records coming and going that was a seventh of a transfer's time.

use std::sync::Once;

/// Blocks up to this size are of the heap, not of the system: as large as glibc goes by itself, once such a block was freed.
const OF_THE_HEAP: i32 = 32 << 20;
/// So much that is free at the end of a heap is kept: twice that, as glibc has it too.
const KEPT: i32 = 2 * OF_THE_HEAP;

/// Has the heap keep what transfers will take again. For processes that read or serve files: others hold less without it.
pub fn keep_heap() {
    static ONCE: Once = Once::new();
    ONCE.call_once(set);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "glibc's only way to be told; it takes two numbers and touches nothing of ours")]
fn set() {
    // SAFETY: `mallopt` may be called at any time from any thread, and moves or frees nothing that is in use.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, OF_THE_HEAP);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}

/// Other allocators see to it themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn set() {}

#[cfg(test)]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    /// How many pages this process has touched for the first time.
    fn touched() -> u64 {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        stat.rsplit(')').next().unwrap().split_whitespace().nth(7).unwrap().parse().unwrap()
    }

    fn fill() -> u64 {
        let before = touched();
        drop(std::hint::black_box(vec![1_u8; 16 << 20]));
        touched() - before
    }

    #[test]
    fn what_was_let_go_of_is_touched_for_the_first_time_once() {
        keep_heap();
        let (first, again) = (fill(), fill());
        assert!(again < first.div_ceil(8), "{first} pages, and {again} of them again");
    }
}
