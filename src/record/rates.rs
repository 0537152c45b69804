//! Rate lines on the wire.

use super::delegation::date;
use super::error::{DelegationBound, Fault, FieldError, Unknown};
use super::limit::read_asset;
use crate::cbor::{FIRST_IGNORABLE_KEY, MapWriter, Reader};
use crate::rate::{DatedRate, NextPrice, RateLine};
use crate::units::{PricePerGib, UnixSeconds};

/// The most rate lines of a record.
pub const MAX_RATES: usize = 4;

const ASSET: u64 = 0;
const PRICE: u64 = 1;
const NOT_BEFORE: u64 = 2;
const COMMITTED_UNTIL: u64 = 3;
const NEXT: u64 = 4;

const NEXT_PRICE: u64 = 0;
const NEXT_NOT_BEFORE: u64 = 1;

/// The line as it stands in a record.
pub(super) fn encode(line: &RateLine) -> Vec<u8> {
    let mut map = MapWriter::new();
    map.text(ASSET, line.asset().code()).uint(PRICE, line.price().0);
    if let Some(from) = line.not_before() {
        map.uint(NOT_BEFORE, from.0);
    }
    if let Some(until) = line.committed_until() {
        map.uint(COMMITTED_UNTIL, until.0);
    }
    if let Some(next) = line.next() {
        let next = MapWriter::new().uint(NEXT_PRICE, next.price.0).uint(NEXT_NOT_BEFORE, next.not_before.0).finish();
        map.encoded(NEXT, &next);
    }
    map.finish()
}

/// All lines of a record of these dates; `latest` is the last date that a publisher may promise.
pub(super) fn read(
    reader: &mut Reader<'_>,
    issued_at: UnixSeconds,
    expires_at: UnixSeconds,
    latest: Option<UnixSeconds>,
) -> Result<Vec<DatedRate>, FieldError> {
    let mut last = None;
    reader.array(MAX_RATES, |reader| {
        let start = reader.offset();
        let line = read_line(reader)?;
        if last.replace(line.asset()).is_some_and(|last| last >= line.asset()) {
            return Err(FieldError::new(start, Fault::RateOrder));
        }
        let rate = line.dated(issued_at, expires_at).map_err(|error| FieldError::new(start, error))?;
        match latest {
            Some(latest) if rate.until() > latest => {
                let fault = Fault::OutsideDelegation { found: rate.until(), holds: DelegationBound::Until(latest) };
                Err(FieldError::new(start, fault))
            }
            _ => Ok(rate),
        }
    })
}

fn read_line(reader: &mut Reader<'_>) -> Result<RateLine, FieldError> {
    let start = reader.offset();
    let (mut asset, mut price, mut not_before, mut committed_until, mut next) = (None, None, None, None, None);
    reader.map(|key, reader| {
        let start = reader.offset();
        match key {
            ASSET => asset = Some(read_asset(reader)?),
            PRICE => price = Some(read_price(reader)?),
            NOT_BEFORE => not_before = Some(date(reader)?),
            COMMITTED_UNTIL => committed_until = Some(date(reader)?),
            NEXT => next = Some(read_next(reader)?),
            FIRST_IGNORABLE_KEY.. => reader.skip()?,
            _ => return Err(FieldError::unknown(start, Unknown::Key { map: "a rate line", key })),
        }
        Ok::<(), FieldError>(())
    })?;
    let missing = |name| move || FieldError::new(start, Fault::Missing(name));
    let asset = asset.ok_or_else(missing("the asset"))?;
    let price = price.ok_or_else(missing("the price"))?;
    RateLine::new(asset, price, not_before, committed_until, next).map_err(|error| FieldError::new(start, error))
}

fn read_next(reader: &mut Reader<'_>) -> Result<NextPrice, FieldError> {
    let start = reader.offset();
    let (mut price, mut not_before) = (None, None);
    reader.map(|key, reader| {
        let start = reader.offset();
        match key {
            NEXT_PRICE => price = Some(read_price(reader)?),
            NEXT_NOT_BEFORE => not_before = Some(date(reader)?),
            FIRST_IGNORABLE_KEY.. => reader.skip()?,
            _ => return Err(FieldError::unknown(start, Unknown::Key { map: "a next price", key })),
        }
        Ok::<(), FieldError>(())
    })?;
    let missing = |name| move || FieldError::new(start, Fault::Missing(name));
    let price = price.ok_or_else(missing("the next price"))?;
    Ok(NextPrice { price, not_before: not_before.ok_or_else(missing("the date of the next price"))? })
}

fn read_price(reader: &mut Reader<'_>) -> Result<PricePerGib, FieldError> {
    let start = reader.offset();
    let (found, max) = (reader.uint()?, PricePerGib::MAX.0);
    if found > max { Err(FieldError::new(start, Fault::Range { found, min: 0, max })) } else { Ok(PricePerGib(found)) }
}
