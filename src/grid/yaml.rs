//! YAML as Tahoe's files use it: texts, lists and maps with texts for keys, within stated bounds.
//!
//! The parser hands out events and builds nothing, so that depth, number and the copies behind aliases are bounded here. What
//! a plain scalar means (number, date, null) is nobody's concern: each is its text. No error repeats a part of the file, which
//! is full of secrets.

use saphyr_parser::{Event, Parser};
use std::collections::HashMap;

/// Lists and maps in each other: an introducer's cache has five.
const MAX_DEPTH: usize = 16;
/// Texts, lists and maps, those behind aliases counted each time: some forty for each of five thousand servers.
const MAX_NODES: usize = 200_000;
/// Octets of text, those behind aliases counted each time: twice the largest file that is read.
const MAX_TEXT_BYTES: usize = 32 << 20;

/// A value of a YAML document.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Yaml {
    Text(String),
    List(Vec<Self>),
    /// In the order written; a key may stand in it twice.
    Map(Vec<(String, Self)>),
}

/// Why a file is not read, and at which of its lines, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct YamlError {
    /// Where.
    pub line: usize,
    /// What is wrong there.
    pub fault: YamlFault,
}

/// The ways in which YAML is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum YamlFault {
    /// No YAML, or cut off.
    #[error("no YAML, or cut off")]
    Syntax,
    /// Lists and maps nested deeper than any of Tahoe's files.
    #[error("nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// More values or longer texts than the file of a real grid has, copies behind aliases included.
    #[error("more values than a list of servers has")]
    TooMuch,
    /// A key that is a list or a map.
    #[error("a key that is no text")]
    Key,
    /// An alias of what is not complete yet: it would contain itself.
    #[error("an alias of what contains it")]
    Alias,
    /// A second document in the file.
    #[error("a second document")]
    SecondDocument,
}

impl Yaml {
    /// The one document in `text`; an empty file is an empty text.
    pub(super) fn parse(text: &str) -> Result<Self, YamlError> {
        let mut builder = Builder::default();
        let mut documents = 0;
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| {
                let line = error.marker().line();
                YamlError { line, fault: YamlFault::Syntax }
            })?;
            let at = |fault| YamlError { line: span.start.line(), fault };
            if matches!(event, Event::DocumentStart(_)) {
                documents += 1;
                if documents > 1 {
                    return Err(at(YamlFault::SecondDocument));
                }
            }
            builder.take(event).map_err(at)?;
        }
        Ok(builder.document.unwrap_or(Self::Text(String::new())))
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The elements; none of what is no list.
    pub(super) fn elements(&self) -> &[Self] {
        match self {
            Self::List(elements) => elements,
            _ => &[],
        }
    }

    /// The entries; none of what is no map.
    pub(super) fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The last value of `key`, as Python's parser takes it.
    pub(super) fn at(&self, key: &str) -> Option<&Self> {
        self.entries().iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The text of `key`.
    pub(super) fn text_at(&self, key: &str) -> Option<&str> {
        self.at(key).and_then(Self::as_text)
    }

    /// How many values and octets of text this is.
    fn weight(&self) -> (usize, usize) {
        let sum = |(nodes, bytes): (usize, usize), (more, longer): (usize, usize)| (nodes + more, bytes + longer);
        match self {
            Self::Text(text) => (1, text.len()),
            Self::List(elements) => elements.iter().map(Self::weight).fold((1, 0), sum),
            Self::Map(entries) => {
                entries.iter().map(|(key, value)| sum((0, key.len()), value.weight())).fold((1, 0), sum)
            }
        }
    }
}

/// A list or map that is not closed yet, with the number of its anchor.
enum Open {
    List(usize, Vec<Yaml>),
    Map(usize, Vec<(String, Yaml)>, Option<String>),
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    /// Copies of what has an anchor. They count as much as what an alias copies.
    anchored: HashMap<usize, Yaml>,
    nodes: usize,
    text_bytes: usize,
    document: Option<Yaml>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>) -> Result<(), YamlFault> {
        match event {
            Event::Scalar(text, _, anchor, _) => {
                self.count(1, text.len())?;
                self.complete(anchor, Yaml::Text(text.into_owned()))
            }
            Event::SequenceStart(anchor, _) => self.descend(Open::List(anchor, Vec::new())),
            Event::MappingStart(anchor, _) => self.descend(Open::Map(anchor, Vec::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(anchor, elements)) => self.complete(anchor, Yaml::List(elements)),
                Some(Open::Map(anchor, entries, _)) => self.complete(anchor, Yaml::Map(entries)),
                None => Err(YamlFault::Syntax),
            },
            Event::Alias(anchor) => {
                let (nodes, bytes) = self.anchored.get(&anchor).ok_or(YamlFault::Alias)?.weight();
                // Counted before it is copied.
                self.count(nodes, bytes)?;
                let copy = self.anchored[&anchor].clone();
                self.put(copy)
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn descend(&mut self, open: Open) -> Result<(), YamlFault> {
        if self.open.len() == MAX_DEPTH {
            return Err(YamlFault::TooDeep);
        }
        self.count(1, 0)?;
        self.open.push(open);
        Ok(())
    }

    fn count(&mut self, nodes: usize, text_bytes: usize) -> Result<(), YamlFault> {
        self.nodes += nodes;
        self.text_bytes += text_bytes;
        if self.nodes > MAX_NODES || self.text_bytes > MAX_TEXT_BYTES { Err(YamlFault::TooMuch) } else { Ok(()) }
    }

    fn complete(&mut self, anchor: usize, value: Yaml) -> Result<(), YamlFault> {
        if anchor > 0 {
            let (nodes, bytes) = value.weight();
            self.count(nodes, bytes)?;
            self.anchored.insert(anchor, value.clone());
        }
        self.put(value)
    }

    fn put(&mut self, value: Yaml) -> Result<(), YamlFault> {
        match self.open.last_mut() {
            None => self.document = Some(value),
            Some(Open::List(_, elements)) => elements.push(value),
            Some(Open::Map(_, entries, key)) => match (key.take(), value) {
                (Some(key), value) => entries.push((key, value)),
                (None, Yaml::Text(text)) => *key = Some(text),
                (None, _) => return Err(YamlFault::Key),
            },
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fault(text: &str) -> YamlFault {
        Yaml::parse(text).err().unwrap_or_else(|| panic!("{text:.40} is read")).fault
    }

    #[test]
    fn every_way_to_write_a_value_reads_as_the_same() {
        let forms = [
            "a: [one, two]\nb: {c: 'three four'}\n",
            "---\na:\n- one\n- two\nb:\n  c: three\n    four\n",
            "b: {c: \"three\\\n    \\ four\"}\na: [one, two]\n...\n",
            "{\"a\": [\"one\", \"two\"], \"b\": {\"c\": \"three four\"}}",
            "a: &x [one, two]\nb: {c: three four}\n# a remark\n",
        ];
        for form in forms {
            let yaml = Yaml::parse(form).unwrap();
            let list: Vec<_> = yaml.at("a").unwrap().elements().iter().filter_map(Yaml::as_text).collect();
            assert_eq!(list, ["one", "two"], "{form}");
            assert_eq!(yaml.at("b").unwrap().text_at("c"), Some("three four"), "{form}");
            assert!(yaml.at("d").is_none() && yaml.text_at("a").is_none());
        }
        assert_eq!(Yaml::parse("").unwrap().as_text(), Some(""));
        assert_eq!(Yaml::parse("k: 1\nk: 0x2\n").unwrap().text_at("k"), Some("0x2"));
    }

    #[test]
    fn an_alias_is_a_copy() {
        let yaml = Yaml::parse("a: &x {b: c}\nd: *x\n").unwrap();
        assert_eq!(yaml.at("d").unwrap().text_at("b"), Some("c"));
    }

    #[test]
    fn a_thousand_million_laughs_are_not_laughed() {
        let mut text = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n".to_owned();
        for i in 1..10 {
            let line = vec![format!("*a{}", i - 1); 10].join(", ");
            text.push_str(&format!("a{i}: &a{i} [{line}]\n"));
        }
        let error = Yaml::parse(&text).err().unwrap();
        assert_eq!(error.fault, YamlFault::TooMuch);
        assert!(error.line <= 7, "{error}");
        let long = "x".repeat(MAX_TEXT_BYTES / 30);
        assert_eq!(fault(&format!("a: &a {long}\nb: [{}]\n", vec!["*a"; 40].join(","))), YamlFault::TooMuch);
    }

    #[test]
    fn what_is_no_file_of_tahoe_is_refused_for_its_reason() {
        assert_eq!(fault(&"[".repeat(100)), YamlFault::TooDeep);
        assert_eq!(fault(&"- ".repeat(100)), YamlFault::TooDeep);
        assert_eq!(fault(&format!("[{}]", "a,".repeat(MAX_NODES))), YamlFault::TooMuch);
        assert_eq!(fault("? [a]\n: b\n"), YamlFault::Key);
        assert_eq!(fault("a: &a [*a]\n"), YamlFault::Alias);
        assert_eq!(fault("a: 1\n---\nb: 2\n"), YamlFault::SecondDocument);
        for cut in ["a: [1, 2", "a: 'x", "a: *b", "{", "a: b: c", "a: 1\n b: 2"] {
            assert_eq!(fault(cut), YamlFault::Syntax, "{cut:?}");
        }
    }

    #[test]
    fn an_error_repeats_nothing_of_the_file() {
        let text = "a: b\nfurl: pb://secret@tcp:x:1/swissnum: [\n";
        assert_eq!(Yaml::parse(text).err().unwrap().to_string(), "line 2: no YAML, or cut off");
    }

    proptest! {
        #[test]
        fn nothing_makes_the_reader_panic(text in "[-a:\\[\\]{}&*,'\"|>!? \n#%]{0,60}|\\PC{0,40}") {
            let _ = Yaml::parse(&text);
        }
    }
}
