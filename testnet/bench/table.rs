//! The figures, and how they are printed: a table for people, or one object of JSON. Both are made from the same rows.

use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// A bound that a figure is to keep.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Budget {
    AtMost(f64),
    AtLeast(f64),
}

impl Budget {
    fn holds(self, figure: f64) -> bool {
        match self {
            Self::AtMost(bound) => figure <= bound,
            Self::AtLeast(bound) => figure >= bound,
        }
    }
}

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    what: String,
    unit: &'static str,
    ours: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<Budget>,
    #[serde(skip_serializing_if = "Option::is_none")]
    within_budget: Option<bool>,
    /// The figures of what is compared with, by the names of the columns.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    beside: BTreeMap<&'static str, f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl Row {
    pub(super) fn new(what: impl Into<String>, unit: &'static str, ours: f64) -> Self {
        let what = what.into();
        Self { what, unit, ours: Some(ours), budget: None, within_budget: None, beside: BTreeMap::new(), note: None }
    }

    pub(super) fn budget(mut self, budget: Budget) -> Self {
        self.within_budget = self.ours.map(|ours| budget.holds(ours));
        self.budget = Some(budget);
        self
    }

    /// The figure of `column`, if it was measured.
    pub(super) fn beside(mut self, column: &'static str, figure: Option<f64>) -> Self {
        self.beside.extend(figure.map(|figure| (column, figure)));
        self
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

/// All figures of a run.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    /// What was compared with.
    others: Vec<String>,
    /// The columns of what was compared with.
    #[serde(skip)]
    columns: &'static [&'static str],
    cores: usize,
    /// How many processes wanted to run, on average over a minute: before the run, and after it.
    load_before: Option<f64>,
    load_after: Option<f64>,
    took_seconds: f64,
    rows: Vec<Row>,
}

impl Table {
    /// A table with these columns beside ours; `others` tells what stands in them.
    pub(super) fn new(columns: &'static [&'static str], others: Vec<String>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { others, columns, cores, load_before: load(), load_after: None, took_seconds: 0.0, rows: Vec::new() }
    }

    pub(super) fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub(super) fn print(mut self, json: bool, took: Duration) {
        self.load_after = load();
        self.took_seconds = took.as_secs_f64();
        let text = if json { serde_json::to_string(&self).unwrap_or_default() } else { self.to_text() };
        // A reader that has gone away wanted no more.
        let _ = std::io::Write::write_all(&mut std::io::stdout().lock(), format!("{}\n", text.trim_end()).as_bytes());
    }

    fn to_text(&self) -> String {
        let compared = if self.others.is_empty() { "ours alone".to_owned() } else { self.others.join(", ") };
        let load = |load: Option<f64>| load.map_or("?".to_owned(), |load| format!("{load:.1}"));
        let mut text = format!(
            "{} cores, load {} before and {} after, {:.0} s; compared with: {compared}\n",
            self.cores,
            load(self.load_before),
            load(self.load_after),
            self.took_seconds
        );
        let head = ["", "unit", "ours", "budget", ""].map(str::to_owned).into_iter();
        let head = head.chain(self.columns.iter().flat_map(|column| [(*column).to_owned(), "÷ ours".to_owned()]));
        let rows = self.rows.iter().map(|row| cells(row, self.columns));
        let lines: Vec<Vec<String>> = std::iter::once(head.collect()).chain(rows).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
        for (line, note) in lines.iter().zip(std::iter::once(None).chain(self.rows.iter().map(|row| row.note.as_ref())))
        {
            for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
                let padding = " ".repeat(width - cell.chars().count());
                // Words to the left, figures to the right.
                text += &if matches!(column, 0 | 1 | 4) {
                    format!("{cell}{padding}  ")
                } else {
                    format!("{padding}{cell}  ")
                };
            }
            text += note.map_or("", |note| note.as_str());
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        text
    }
}

fn cells(row: &Row, columns: &[&'static str]) -> Vec<String> {
    let optional = |figure: Option<f64>| figure.map(number).unwrap_or_default();
    let budget = match row.budget {
        Some(Budget::AtMost(bound)) => format!("≤ {}", number(bound)),
        Some(Budget::AtLeast(bound)) => format!("≥ {}", number(bound)),
        None => String::new(),
    };
    let verdict = match row.within_budget {
        Some(true) => "within",
        Some(false) => "OVER",
        None => "",
    };
    let ratio = |other: Option<f64>| match other.zip(row.ours) {
        Some((other, ours)) if ours > 0.0 => format!("{}×", number(other / ours)),
        _ => String::new(),
    };
    let ours = [row.what.clone(), row.unit.to_owned(), optional(row.ours), budget, verdict.to_owned()];
    let theirs = columns.iter().flat_map(|column| {
        let figure = row.beside.get(column).copied();
        [optional(figure), ratio(figure)]
    });
    ours.into_iter().chain(theirs).collect()
}

/// Three figures that count, and no more.
fn number(figure: f64) -> String {
    match figure.abs() {
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_stands_beside_its_budget_and_the_others() {
        let mut table = Table::new(&["mainline"], vec!["mainline 8.0.1".to_owned()]);
        table
            .push(Row::new("warm resolve, p50", "RTT", 1.05).budget(Budget::AtMost(1.1)).beside("mainline", Some(2.1)));
        table.push(Row::new("served", "1/s", 1_234.0).budget(Budget::AtLeast(2_000.0)).note("on one core"));
        let text = table.to_text();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(text.lines().next().unwrap().ends_with("compared with: mainline 8.0.1"), "{text}");
        assert_eq!(lines[2], ["warm", "resolve,", "p50", "RTT", "1.05", "≤", "1.10", "within", "2.10", "2.00×"]);
        assert_eq!(lines[3], ["served", "1/s", "1234", "≥", "2000", "OVER", "on", "one", "core"]);
        let json = serde_json::to_value(&table).unwrap();
        assert_eq!(
            (&json["rows"][0]["within_budget"], &json["rows"][1]["within_budget"]),
            (&true.into(), &false.into())
        );
        assert_eq!(json["rows"][0]["budget"]["at_most"], 1.1);
        assert_eq!(json["rows"][0]["beside"]["mainline"], 2.1);
    }
}
