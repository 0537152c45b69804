//! A drawing of figures by day, as SVG.

use crate::units::{Bytes, UnixSeconds};
use std::collections::BTreeMap;
use std::fmt::Write;

const DAY: u64 = 86_400;
const WIDTH: u64 = 720;
const HEIGHT: u64 = 240;
/// To the left, where the scale stands, and around the rest.
const LEFT: u64 = 76;
const AROUND: u64 = 24;
const TOP: u64 = 44;
/// A bar is no wider, and stands in the middle of its day.
const WIDEST: u64 = 28;
/// The most days that are drawn, the last ones.
const MOST: u64 = 366;

/// One bar for each day from the first to the last of `days` (seconds of their beginnings, and octets).
pub(super) fn days(days: &BTreeMap<u64, u64>, title: &str) -> String {
    let last = days.keys().next_back().copied().unwrap_or(0);
    let first = days.keys().next().copied().unwrap_or(0).max(last.saturating_sub((MOST - 1) * DAY));
    let count = (last - first) / DAY + 1;
    let drawn: u64 = days.range(first..).fold(0, |sum, (_, octets)| sum.saturating_add(*octets));
    let most = days.range(first..).map(|(_, octets)| *octets).max().unwrap_or(0).max(1);
    let (whole_width, base) = (LEFT + WIDTH + AROUND, TOP + HEIGHT);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{whole_width}\" height=\"{}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>{title}</title>\n<path d=\"M0 0h{whole_width}v{0}H0z\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"15\" fill=\"#1d2327\">{title}: {} in all</text>\n",
        base + AROUND + 16,
        Bytes(drawn)
    );
    // The scale, by quarters of the most.
    for quarter in 0..=4 {
        let (y, octets) = (base - HEIGHT * quarter / 4, u128::from(most) * u128::from(quarter) / 4);
        let label = Bytes(u64::try_from(octets).unwrap_or(u64::MAX));
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {y}.5h{WIDTH}\" stroke=\"{}\"/><text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#59636b\">{label}</text>",
            if quarter == 0 { "#59636b" } else { "#d9dee2" },
            LEFT - 8,
            y + 4
        );
    }
    for (day, octets) in days.range(first..) {
        let nth = (day - first) / DAY;
        let (from, to) = (nth * WIDTH / count, (nth + 1) * WIDTH / count);
        let width = (to - from).saturating_sub(1).clamp(1, WIDEST);
        let left = LEFT + from + (to - from - width) / 2;
        // In 128 bits: octets times pixels.
        let height =
            u64::try_from(u128::from(*octets) * u128::from(HEIGHT) / u128::from(most)).unwrap_or(HEIGHT).max(1);
        let _ = writeln!(
            svg,
            "<rect x=\"{left}\" y=\"{}\" width=\"{width}\" height=\"{height}\" fill=\"#46789c\"><title>{}: {}</title></rect>",
            base - height,
            date(*day),
            Bytes(*octets)
        );
    }
    let mut dates = vec![(first, "start", LEFT), (last, "end", LEFT + WIDTH)];
    if first == last {
        dates = vec![(first, "middle", LEFT + WIDTH / 2)];
    }
    for (day, anchor, x) in dates.into_iter().filter(|_| !days.is_empty()) {
        let y = base + 20;
        let _ =
            writeln!(svg, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" fill=\"#59636b\">{}</text>", date(day));
    }
    svg.push_str("</svg>\n");
    svg
}

/// A day in UTC.
fn date(day: u64) -> String {
    UnixSeconds(day).to_string().chars().take(10).collect()
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
        // The scale and the sum are those of what is drawn, and no bar reaches into another day's place.
        assert!(svg.contains("octets: 15 B in all") && svg.contains(">10 B</text>"), "{svg}");
        assert_eq!(days(&BTreeMap::new(), "octets").matches("<rect").count(), 0);
        let long: BTreeMap<u64, u64> = (0..400).map(|nth| (nth * DAY, if nth < 30 { 1_000 } else { 1 })).collect();
        let svg = days(&long, "octets");
        assert_eq!(svg.matches("<rect").count(), MOST as usize);
        assert!(
            svg.contains("octets: 366 B in all") || svg.contains(&format!("octets: {} in all", Bytes(366))),
            "{svg}"
        );
    }
}
