//! The set of share numbers that a storage server answers with.
#![no_main]

use lafs_clearinghouse::grid::fuzzing::share_numbers;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(numbers) = share_numbers(data) else { return };
    assert!(numbers.len() <= 256 && numbers.is_sorted_by(|one, next| one < next));
    assert!(numbers.iter().all(|number| *number <= 255));
    // In their shortest form they are the same set.
    let mut again = vec![0xd9, 1, 2];
    match numbers.len() {
        length @ ..24 => again.push(0x80 | length as u8),
        length @ ..256 => again.extend([0x98, length as u8]),
        _ => again.extend([0x99, 1, 0]),
    }
    for number in &numbers {
        match *number as u8 {
            number @ ..24 => again.push(number),
            number => again.extend([0x18, number]),
        }
    }
    assert_eq!(share_numbers(&again), Ok(numbers));
});
