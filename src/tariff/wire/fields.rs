//! How the payloads of money are written and read: a table of keys, names and types for each, and one way through them.

use crate::cbor::MapWriter;
use crate::cbor::Reader;
use crate::keys::{GridId, PublicKey};
use crate::rate::Asset;
use crate::record::Nickname;
use crate::session::form::{FormError, FormFault, date, fault, grid, in_field, key, number, octets};
use crate::signed::Identity;
use crate::units::{Bytes, MinorUnits, PricePerGib, Seconds, UnixSeconds};
use minicbor::Encoder;

/// The map of a payload, or one inside it.
pub(super) trait Fields: Sized {
    fn write_fields(&self, map: &mut MapWriter);
    fn read_fields(reader: &mut Reader<'_>) -> Result<Self, FormError>;

    /// Refuses fields that contradict each other; the field's name with what is wrong.
    fn agree(&self) -> Result<(), Contradiction>;
}

/// A field's name and what is wrong with it beside the others.
pub(super) type Contradiction = (&'static str, &'static str);

/// A value that may stand in a map or in an array.
pub(super) trait Item: Sized {
    /// How many an array holds at most.
    const MOST: usize = 1;

    fn write(&self) -> Vec<u8>;
    fn read(field: &'static str, reader: &mut Reader<'_>) -> Result<Self, FormError>;
}

/// What a key of a map stands for: a value, a value that may be left out, or a list, which is left out when it is empty.
pub(super) trait Field: Sized {
    fn put(&self, key: u64, map: &mut MapWriter);
    fn take(field: &'static str, reader: &mut Reader<'_>) -> Result<Self, FormError>;
    fn absent() -> Option<Self>;
}

impl<T: Item> Field for T {
    fn put(&self, key: u64, map: &mut MapWriter) {
        map.encoded(key, &self.write());
    }

    fn take(field: &'static str, reader: &mut Reader<'_>) -> Result<Self, FormError> {
        T::read(field, reader)
    }

    fn absent() -> Option<Self> {
        None
    }
}

impl<T: Item> Field for Option<T> {
    fn put(&self, key: u64, map: &mut MapWriter) {
        if let Some(value) = self {
            map.encoded(key, &value.write());
        }
    }

    fn take(field: &'static str, reader: &mut Reader<'_>) -> Result<Self, FormError> {
        T::read(field, reader).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Item> Field for Vec<T> {
    fn put(&self, key: u64, map: &mut MapWriter) {
        if !self.is_empty() {
            map.array(key, &self.iter().map(Item::write).collect::<Vec<_>>());
        }
    }

    fn take(field: &'static str, reader: &mut Reader<'_>) -> Result<Self, FormError> {
        let start = reader.offset();
        reader.array(T::MOST, |reader| T::read(field, reader)).map_err(|error| match error {
            // The array's own faults are told of no field.
            FormError::Field { offset, fault, .. } if offset == start => FormError::Field { field, offset, fault },
            other => other,
        })
    }

    fn absent() -> Option<Self> {
        Some(Vec::new())
    }
}

/// A struct that is a map: each line is a key, the field's name and its type. It has a function `contradiction`.
macro_rules! fields {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$doc:meta])* $key:literal $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl $crate::tariff::wire::fields::Fields for $name {
            fn write_fields(&self, map: &mut $crate::cbor::MapWriter) {
                $($crate::tariff::wire::fields::Field::put(&self.$field, $key, map);)*
            }

            fn agree(&self) -> Result<(), $crate::tariff::wire::fields::Contradiction> {
                self.contradiction()
            }

            fn read_fields(
                reader: &mut $crate::cbor::Reader<'_>,
            ) -> Result<Self, $crate::session::FormError> {
                let start = reader.offset();
                $(let mut $field = None;)*
                reader.map(|key, reader| {
                    let at = reader.offset();
                    match key {
                        $($key => {
                            let value = $crate::tariff::wire::fields::Field::take(stringify!($field), reader)?;
                            $field = Some(value);
                        })*
                        $crate::cbor::FIRST_IGNORABLE_KEY.. => reader.skip()?,
                        key => return Err($crate::session::FormError::Upgrade { offset: at, key }),
                    }
                    Ok(())
                })?;
                Ok(Self {
                    $($field: $field
                        .or_else($crate::tariff::wire::fields::Field::absent)
                        .ok_or($crate::session::FormError::Field {
                            field: stringify!($field),
                            offset: start,
                            fault: $crate::session::FormFault::Missing,
                        })?,)*
                })
            }
        }
    };
}
pub(super) use fields;

impl<T: Fields + Many> Item for T {
    const MOST: usize = T::MANY;

    fn write(&self) -> Vec<u8> {
        let mut map = MapWriter::new();
        self.write_fields(&mut map);
        map.finish()
    }

    fn read(field: &'static str, reader: &mut Reader<'_>) -> Result<Self, FormError> {
        let start = reader.offset();
        let read = T::read_fields(reader)?;
        read.agree().map_err(|(_, what)| fault(field, start, FormFault::Contradiction(what)))?;
        Ok(read)
    }
}

/// A map that stands in a list.
pub(super) trait Many {
    /// How many the list holds at most.
    const MANY: usize;
}

fn written(
    write: impl FnOnce(&mut Encoder<&mut Vec<u8>>) -> Result<(), minicbor::encode::Error<std::convert::Infallible>>,
) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut Encoder::new(&mut out)).expect("memory takes every byte");
    out
}

fn uint(value: u64) -> Vec<u8> {
    written(|encoder| encoder.u64(value)?.ok())
}

fn bytes(value: &[u8]) -> Vec<u8> {
    written(|encoder| encoder.bytes(value)?.ok())
}

fn text(value: &str) -> Vec<u8> {
    written(|encoder| encoder.str(value)?.ok())
}

/// The largest number of octets, of seconds and of minor units on the wire.
pub(super) const MOST: u64 = i64::MAX as u64;

/// Integers up to 2^63 − 1, each in its own unit.
macro_rules! numbers {
    ($($type:ident)*) => {
        $(impl Item for $type {
            fn write(&self) -> Vec<u8> {
                uint(self.0)
            }

            fn read(field: &'static str, reader: &mut Reader<'_>) -> Result<Self, FormError> {
                number(field, reader, 0, MOST).map($type)
            }
        })*
    };
}
numbers!(Bytes MinorUnits PricePerGib Seconds);

impl Item for u64 {
    fn write(&self) -> Vec<u8> {
        uint(*self)
    }

    fn read(field: &'static str, reader: &mut Reader<'_>) -> Result<Self, FormError> {
        number(field, reader, 1, MOST)
    }
}

impl Item for UnixSeconds {
    fn write(&self) -> Vec<u8> {
        uint(self.0)
    }

    fn read(field: &'static str, reader: &mut Reader<'_>) -> Result<Self, FormError> {
        date(field, reader)
    }
}

impl Item for PublicKey {
    fn write(&self) -> Vec<u8> {
        bytes(self.as_bytes())
    }

    fn read(field: &'static str, reader: &mut Reader<'_>) -> Result<Self, FormError> {
        key(field, reader)
    }
}

impl Item for GridId {
    fn write(&self) -> Vec<u8> {
        bytes(self.as_bytes())
    }

    fn read(field: &'static str, reader: &mut Reader<'_>) -> Result<Self, FormError> {
        grid(field, reader)
    }
}

impl<const N: usize> Item for [u8; N] {
    fn write(&self) -> Vec<u8> {
        bytes(self)
    }

    fn read(field: &'static str, reader: &mut Reader<'_>) -> Result<Self, FormError> {
        octets(field, reader)
    }
}

impl Item for Identity {
    fn write(&self) -> Vec<u8> {
        bytes(&self.0)
    }

    fn read(field: &'static str, reader: &mut Reader<'_>) -> Result<Self, FormError> {
        octets(field, reader).map(Self)
    }
}

impl Item for Asset {
    fn write(&self) -> Vec<u8> {
        text(self.code())
    }

    fn read(field: &'static str, reader: &mut Reader<'_>) -> Result<Self, FormError> {
        let start = reader.offset();
        let code = reader.text(5).map_err(|error| in_field(field, error))?;
        Self::from_code(code).map_err(|error| fault(field, start, error))
    }
}

impl Item for Nickname {
    fn write(&self) -> Vec<u8> {
        text(self.as_str())
    }

    fn read(field: &'static str, reader: &mut Reader<'_>) -> Result<Self, FormError> {
        let start = reader.offset();
        let text = reader.text(Self::MAX_BYTES).map_err(|error| in_field(field, error))?;
        Self::new(text).map_err(|error| fault(field, start, error))
    }
}

/// An enum that is a small number: each line is the number and the variant.
macro_rules! codes {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $code:literal $variant:ident,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// The number on the wire.
            pub const fn code(self) -> u64 {
                match self {
                    $(Self::$variant => $code,)*
                }
            }
        }

        impl $crate::tariff::wire::fields::Item for $name {
            fn write(&self) -> Vec<u8> {
                $crate::tariff::wire::fields::Item::write(&$crate::units::Bytes(self.code()))
            }

            fn read(
                field: &'static str,
                reader: &mut $crate::cbor::Reader<'_>,
            ) -> Result<Self, $crate::session::FormError> {
                let offset = reader.offset();
                // A number that is not known is a word of a later day.
                match $crate::session::form::number(field, reader, 0, $crate::tariff::wire::fields::MOST)? {
                    $($code => Ok(Self::$variant),)*
                    key => Err($crate::session::FormError::Upgrade { offset, key }),
                }
            }
        }
    };
}
pub(super) use codes;

/// The bytes of another signed object, carried along and not yet looked at.
#[derive(Clone, PartialEq, Eq)]
pub struct Carried(pub Box<[u8]>);

impl Carried {
    /// The most octets of one.
    pub const MAX_BYTES: usize = 1_024;
}

impl std::fmt::Debug for Carried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Item for Carried {
    fn write(&self) -> Vec<u8> {
        bytes(&self.0)
    }

    fn read(field: &'static str, reader: &mut Reader<'_>) -> Result<Self, FormError> {
        let bytes = reader.bytes(Self::MAX_BYTES).map_err(|error| in_field(field, error))?;
        Ok(Self(bytes.into()))
    }
}
