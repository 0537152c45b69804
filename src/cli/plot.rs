//! A drawing of figures by day, as SVG.

use crate::units::{Bytes, UnixSeconds};
use std::collections::BTreeMap;
use std::fmt::Write;

const DAY: u64 = 86_400;
const WIDTH: u64 = 720;
const HEIGHT: u64 = 240;
const MARGIN: u64 = 40;
/// The most days that are drawn, the last ones.
const MOST: u64 = 366;

/// One bar for each day from the first to the last of `days` (seconds of their beginnings, and octets).
pub(super) fn days(days: &BTreeMap<u64, u64>, title: &str) -> String {
    let last = days.keys().next_back().copied().unwrap_or(0);
    let first = days.keys().next().copied().unwrap_or(0).max(last.saturating_sub((MOST - 1) * DAY));
    let count = (last - first) / DAY + 1;
    let most = days.values().copied().max().unwrap_or(0).max(1);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>{title}</title>\n<text x=\"{MARGIN}\" y=\"20\">{title}, at most {}</text>\n",
        WIDTH + 2 * MARGIN,
        HEIGHT + 2 * MARGIN,
        Bytes(most)
    );
    for (day, octets) in days.range(first..) {
        let left = MARGIN + (day - first) / DAY * WIDTH / count;
        // In 128 bits: octets times pixels.
        let height =
            u64::try_from(u128::from(*octets) * u128::from(HEIGHT) / u128::from(most)).unwrap_or(HEIGHT).max(1);
        let top = MARGIN + HEIGHT - height;
        let width = (WIDTH / count).saturating_sub(1).max(1);
        let date = &UnixSeconds(*day).to_string()[..10];
        // Writing into a `String` cannot fail.
        let _ = writeln!(
            svg,
            "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" fill=\"#46789c\"><title>{date}: {}</title></rect>",
            Bytes(*octets)
        );
    }
    let base = MARGIN + HEIGHT + 16;
    for (day, x) in [(first, MARGIN), (last, MARGIN + WIDTH - 70)] {
        let date = &UnixSeconds(day).to_string()[..10];
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"{base}\">{date}</text>");
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_day_has_its_bar_and_nothing_is_drawn_of_nothing() {
        let figures = BTreeMap::from([(1_811_808_000, 5), (1_811_808_000 + 2 * DAY, 10)]);
        let svg = days(&figures, "octets");
        assert_eq!(svg.matches("<rect").count(), 2);
        assert!(svg.contains("2027-06-01: 5 B") && svg.contains("height=\"240\""), "{svg}");
        assert_eq!(days(&BTreeMap::new(), "octets").matches("<rect").count(), 0);
    }
}
