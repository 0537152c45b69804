//! From the bytes that are wanted to the units and the pages of the manifest that hold them.
//!
//! A unit is the least that can be verified; a page of the manifest is what checks so many units.

use std::ops::Range;

/// How many units one page of an immutable file's manifest covers: 32 KiB of hashes.
pub(super) const PAGE_UNITS: u64 = crate::peer::PAGE_UNITS;
/// The same of a mutable file, 32 MiB as Tahoe-LAFS cuts them: what the page says of them costs the gateway the reading of one
/// share's blocks of all of these units, before the first of them comes.
pub(super) const MUTABLE_PAGE_UNITS: u64 = 256;

/// Wanted bytes of a file that comes in units of one size, the last one excepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReadPlan {
    wanted: Range<u64>,
    unit: u64,
    page: u64,
}

impl ReadPlan {
    /// The bytes `wanted`, of a file in units of `unit` bytes and pages of `page` units; `unit` is greater than zero unless the
    /// file is empty.
    pub(super) fn new(wanted: Range<u64>, unit: u64, page: u64) -> Self {
        Self { wanted, unit: unit.max(1), page: page.max(1) }
    }

    /// The units that hold them.
    pub(super) fn units(&self) -> Range<u64> {
        if self.wanted.is_empty() {
            return 0..0;
        }
        self.wanted.start / self.unit..(self.wanted.end - 1) / self.unit + 1
    }

    /// The same units, parted where one page ends and the next begins.
    pub(super) fn pages(&self) -> impl Iterator<Item = Range<u64>> + use<> {
        let (units, page) = (self.units(), self.page);
        let mut next = units.start;
        std::iter::from_fn(move || {
            let start = next;
            next = units.end.min((start / page + 1).saturating_mul(page));
            (start < units.end).then_some(start..next)
        })
    }

    /// Which bytes of the unit `index`, whose length is `length`, are wanted.
    pub(super) fn cut(&self, index: u64, length: usize) -> Range<usize> {
        let start = index.saturating_mul(self.unit);
        let within = |offset: u64| usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX).min(length);
        let (from, to) = (within(self.wanted.start), within(self.wanted.end));
        from..to.max(from)
    }
}

/// How many units a page has of a file that may change or not.
pub(super) const fn page_units(mutable: bool) -> u64 {
    if mutable { MUTABLE_PAGE_UNITS } else { PAGE_UNITS }
}

/// The first unit of the page of `page` units that holds `unit`.
pub(super) fn page_of(unit: u64, page: u64) -> u64 {
    unit - unit % page.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_range_takes_the_units_that_it_touches() {
        for (wanted, units) in [(0..1, 0..1), (0..10, 0..1), (0..11, 0..2), (9..11, 0..2), (10..20, 1..2), (5..5, 0..0)]
        {
            assert_eq!(ReadPlan::new(wanted.clone(), 10, PAGE_UNITS).units(), units, "{wanted:?}");
        }
    }

    #[test]
    fn pages_begin_at_multiples_and_cover_all_units_once() {
        let plan = ReadPlan::new(3..PAGE_UNITS * 2 + 1, 1, PAGE_UNITS);
        let pages: Vec<_> = plan.pages().collect();
        assert_eq!(pages, [3..PAGE_UNITS, PAGE_UNITS..2 * PAGE_UNITS, 2 * PAGE_UNITS..2 * PAGE_UNITS + 1]);
        assert_eq!(ReadPlan::new(7..7, 1, PAGE_UNITS).pages().count(), 0);
        assert!(pages.iter().all(|page| page_of(page.start, PAGE_UNITS) == page_of(page.end - 1, PAGE_UNITS)));
    }

    proptest! {
        #[test]
        fn the_cuts_of_all_units_are_the_wanted_bytes(
            size in 0_u64..3000, unit in 1_u64..700, a in 0_u64..3000, b in 0_u64..3000,
        ) {
            let file: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let (from, to) = (a.min(b).min(size), a.max(b).min(size));
            let plan = ReadPlan::new(from..to, unit, PAGE_UNITS);
            let mut read = Vec::new();
            for index in plan.units() {
                let start = (index * unit) as usize;
                let bytes = &file[start..file.len().min(start + unit as usize)];
                read.extend_from_slice(&bytes[plan.cut(index, bytes.len())]);
            }
            prop_assert_eq!(read, &file[from as usize..to as usize]);
        }

        #[test]
        fn pages_are_the_units_in_order(from in 0_u64..10_000, length in 0_u64..10_000, page in 1_u64..3_000) {
            let plan = ReadPlan::new(from..from + length, 1, page);
            let all: Vec<u64> = plan.pages().flatten().collect();
            prop_assert_eq!(all, plan.units().collect::<Vec<_>>());
        }

        #[test]
        fn no_numbers_make_it_panic(from: u64, to: u64, unit: u64, page: u64, index: u64, length in 0_usize..100) {
            let plan = ReadPlan::new(from..to, unit, page);
            let cut = plan.cut(index, length);
            prop_assert!(cut.start <= cut.end && cut.end <= length);
            let _ = plan.units();
            let _ = plan.pages().next();
        }
    }
}
