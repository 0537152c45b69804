//! The set of share numbers that a server answers with: CBOR tag 258 around an array of unsigned integers.

use crate::grid::answer_fault::AnswerFault;
use minicbor::Decoder;
use minicbor::data::Tag;
use std::collections::BTreeSet;

/// "Mathematical finite set", as the registry of CBOR tags has it.
const SET: Tag = Tag::new(258);
/// Share numbers are 0 to 255.
const MAX_SHARES: u64 = 256;

/// The octets of the longest answer, 256 numbers of two octets, with room for a wasteful encoding.
#[cfg(feature = "node")]
pub(super) const MAX_ANSWER_BYTES: u64 = 4 << 10;

/// The numbers in `answer`, ascending.
pub(super) fn share_numbers(answer: &[u8]) -> Result<Vec<u16>, AnswerFault> {
    let mut decoder = Decoder::new(answer);
    let mut read = || {
        if decoder.tag()? != SET {
            return Ok(None);
        }
        let Some(count) = decoder.array()?.filter(|count| *count <= MAX_SHARES) else { return Ok(None) };
        let numbers = (0..count).map(|_| decoder.u8().map(u16::from)).collect::<Result<BTreeSet<_>, _>>()?;
        // A number that stands twice makes no set.
        let is_whole = numbers.len() as u64 == count && decoder.position() == answer.len();
        Ok::<_, minicbor::decode::Error>(is_whole.then_some(numbers))
    };
    let numbers = read().ok().flatten().ok_or(AnswerFault::ShareSet)?;
    Ok(numbers.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_tahoe_answers_is_read() {
        assert_eq!(share_numbers(&[0xd9, 1, 2, 0x81, 2]), Ok(vec![2]));
        assert_eq!(share_numbers(&[0xd9, 1, 2, 0x80]), Ok(vec![]));
        assert_eq!(share_numbers(&[0xd9, 1, 2, 0x83, 0x18, 255, 0, 7]), Ok(vec![0, 7, 255]));
    }

    #[test]
    fn whatever_else_is_refused() {
        for answer in [
            &[][..],
            &[0x81, 2],                                                  // no set
            &[0xd9, 1, 3, 0x81, 2],                                      // another tag
            &[0xd9, 1, 2, 0x81],                                         // cut off
            &[0xd9, 1, 2, 0x81, 2, 0],                                   // something after it
            &[0xd9, 1, 2, 0x82, 2, 2],                                   // twice
            &[0xd9, 1, 2, 0x81, 0x20],                                   // negative
            &[0xd9, 1, 2, 0x81, 0x19, 1, 0],                             // 256
            &[0xd9, 1, 2, 0x81, 0x61, b'2'],                             // a text
            &[0xd9, 1, 2, 0x9b, 255, 255, 255, 255, 255, 255, 255, 255], // more than there is memory
        ] {
            assert_eq!(share_numbers(answer), Err(AnswerFault::ShareSet), "{answer:x?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_the_reader_panic(tail in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = share_numbers(&tail);
            let _ = share_numbers(&[&[0xd9, 1, 2][..], &tail].concat());
        }
    }
}
