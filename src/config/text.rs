//! TOML strings that are values' texts: each is parsed where it stands, so that the error knows its line.

use serde::de::{Deserializer, Error, SeqAccess, Unexpected, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

/// One value from its text.
pub(super) fn one<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D) -> Result<T, D::Error>
where
    T::Err: std::error::Error,
{
    deserializer.deserialize_str(OneText(PhantomData))
}

/// One value from its text, for a key that may be absent.
pub(super) fn optional<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T::Err: std::error::Error,
{
    one(deserializer).map(Some)
}

/// A list of values from a list of texts.
pub(super) fn many<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T::Err: std::error::Error,
{
    deserializer.deserialize_seq(ManyTexts(PhantomData))
}

struct OneText<T>(PhantomData<T>);

impl<T: FromStr> Visitor<'_> for OneText<T>
where
    T::Err: std::error::Error,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text in quotes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

struct ManyTexts<T>(PhantomData<T>);

impl<'de, T: FromStr> Visitor<'de> for ManyTexts<T>
where
    T::Err: std::error::Error,
{
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list: [\"…\", \"…\"]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<T>, A::Error> {
        struct Item<T>(T);
        impl<'de, T: FromStr> serde::Deserialize<'de> for Item<T>
        where
            T::Err: std::error::Error,
        {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                one(deserializer).map(Item)
            }
        }
        let mut values = Vec::new();
        while let Some(Item(value)) = sequence.next_element()? {
            values.push(value);
        }
        Ok(values)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Vec<T>, E> {
        // The default would repeat the text, which may be a storage server's FURL.
        Err(E::invalid_type(Unexpected::Other("a single text"), &self))
    }
}
