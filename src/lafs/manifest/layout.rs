//! The units of a file.

use crate::units::Bytes;
use std::ops::Range;

/// How a file's ciphertext is cut into units: all of one size, but the last, which may be shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitLayout {
    /// The size of the ciphertext, which is that of the content.
    pub size: Bytes,
    /// The size of a unit.
    pub unit: Bytes,
}

impl UnitLayout {
    /// How many units there are; none of an empty file.
    pub fn units(&self) -> u64 {
        self.size.0.div_ceil(self.unit.0.max(1))
    }

    /// The octets of unit `unit`; an empty range behind the last.
    pub fn unit_range(&self, unit: u64) -> Range<u64> {
        let start = unit.saturating_mul(self.unit.0).min(self.size.0);
        start..start.saturating_add(self.unit.0).min(self.size.0)
    }

    /// The size of unit `unit`; 0 behind the last.
    pub fn unit_len(&self, unit: u64) -> Bytes {
        let range = self.unit_range(unit);
        Bytes(range.end - range.start)
    }

    /// The units that have octets of `bytes`, as far as the file has them.
    pub fn units_of(&self, bytes: Range<u64>) -> Range<u64> {
        let unit = self.unit.0.max(1);
        let start = bytes.start.min(self.size.0);
        let end = bytes.end.min(self.size.0).max(start);
        if start == end {
            return start / unit..start / unit;
        }
        start / unit..end.div_ceil(unit)
    }

    /// The units that `bytes` consists of, if it begins with one and ends with one or with the file.
    pub fn whole_units(&self, bytes: Range<u64>) -> Option<Range<u64>> {
        let units = self.units_of(bytes.clone());
        let whole = self.unit_range(units.start).start..self.unit_range(units.end.checked_sub(1)?).end;
        (!units.is_empty() && whole == bytes).then_some(units)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: UnitLayout = UnitLayout { size: Bytes(100), unit: Bytes(30) };

    #[test]
    fn the_last_unit_has_what_is_left() {
        assert_eq!(LAYOUT.units(), 4);
        assert_eq!([0, 3, 4, u64::MAX].map(|unit| LAYOUT.unit_range(unit)), [0..30, 90..100, 100..100, 100..100]);
        assert_eq!(LAYOUT.unit_len(3), Bytes(10));
    }

    #[test]
    fn the_units_of_octets_are_those_that_have_one() {
        for (bytes, units) in
            [(0..1, 0..1), (29..31, 0..2), (30..60, 1..2), (95..u64::MAX, 3..4), (30..30, 1..1), (200..300, 3..3)]
        {
            assert_eq!(LAYOUT.units_of(bytes.clone()), units, "{bytes:?}");
        }
    }

    #[test]
    fn whole_units_begin_and_end_with_one() {
        for (bytes, units) in [(0..30, Some(0..1)), (30..100, Some(1..4)), (90..100, Some(3..4))] {
            assert_eq!(LAYOUT.whole_units(bytes), units);
        }
        for bytes in [0..29, 1..30, 90..99, 90..101, 30..30, 0..0, 100..100, 120..150, 0..u64::MAX] {
            assert_eq!(LAYOUT.whole_units(bytes.clone()), None, "{bytes:?}");
        }
    }

    #[test]
    fn an_empty_file_has_no_unit() {
        let layout = UnitLayout { size: Bytes(0), unit: Bytes(0) };
        assert_eq!((layout.units(), layout.unit_range(0), layout.units_of(0..5)), (0, 0..0, 0..0));
    }
}
