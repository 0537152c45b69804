//! What the operating system says about this process.

use crate::units::Bytes;

/// The process, where the system tells (Linux; elsewhere nothing).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Process {
    /// Memory in use.
    pub resident: Option<Bytes>,
    /// Open files, sockets among them.
    pub open_files: Option<u64>,
}

impl Process {
    /// As it is now. Reads two small things under `/proc`, which never waits for a disk.
    pub fn now() -> Self {
        let resident = std::fs::read_to_string("/proc/self/status").ok().and_then(|status| resident(&status));
        let open_files = std::fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as u64);
        Self { resident, open_files }
    }
}

fn resident(status: &str) -> Option<Bytes> {
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?;
    kibibytes.parse::<u64>().ok()?.checked_mul(1024).map(Bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_octets() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t    2048 kB\nRssAnon: 1 kB\n"), Some(Bytes(2_097_152)));
        assert_eq!(resident("Name:\tx\n"), None);
        assert_eq!(resident("VmRSS:\t-1 kB\n"), None);
    }
}
