//! GF(2^8) with the polynomial 0x11d, in which 2 generates every element but 0.

const POLYNOMIAL: u16 = 0x11d;

/// How many elements beside 0 there are: the order of the generator.
const ORDER: usize = 255;

/// 2^i for i in 0..510: the sum of two logarithms needs no reduction.
const EXP: [u8; 2 * ORDER] = {
    let mut exp = [0; 2 * ORDER];
    let mut value: u16 = 1;
    let mut i = 0;
    while i < 2 * ORDER {
        exp[i] = value as u8;
        value <<= 1;
        if value > 0xff {
            value ^= POLYNOMIAL;
        }
        i += 1;
    }
    exp
};

/// The logarithm of each element to the base 2; that of 0, which has none, is never asked for.
const LOG: [u8; 256] = {
    let mut log = [0; 256];
    let mut i = 0;
    while i < ORDER {
        log[EXP[i] as usize] = i as u8;
        i += 1;
    }
    log
};

/// `a` times `b`.
pub(super) const fn mul(a: u8, b: u8) -> u8 {
    if a == 0 || b == 0 {
        return 0;
    }
    EXP[LOG[a as usize] as usize + LOG[b as usize] as usize]
}

/// 1 / `a`; of 0, which has no inverse, 1.
pub(super) const fn inverse(a: u8) -> u8 {
    EXP[ORDER - LOG[a as usize] as usize]
}

/// The point at which block `number` is the polynomial's value: 0, then the powers of 2.
pub(super) const fn point(number: u8) -> u8 {
    match number {
        0 => 0,
        _ => EXP[number as usize - 1],
    }
}

/// A factor's products with every low and every high half of a byte: their sum is its product with the byte.
#[repr(C, align(32))]
pub(super) struct Products {
    /// With 0x00 to 0x0f.
    pub(super) low: [u8; 16],
    /// With 0x00, 0x10 to 0xf0.
    pub(super) high: [u8; 16],
}

/// The products of every factor: 8 KiB.
static PRODUCTS: [Products; 256] = {
    let mut table = [const { Products { low: [0; 16], high: [0; 16] } }; 256];
    let mut factor = 0;
    while factor < 256 {
        let mut half = 0;
        while half < 16 {
            table[factor].low[half] = mul(factor as u8, half as u8);
            table[factor].high[half] = mul(factor as u8, (half as u8) << 4);
            half += 1;
        }
        factor += 1;
    }
    table
};

/// The products of `factor`.
pub(super) fn products(factor: u8) -> &'static Products {
    &PRODUCTS[usize::from(factor)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By shifts and additions alone, as one multiplies on paper.
    fn long_multiplication(a: u8, b: u8) -> u8 {
        let mut sum = 0;
        for bit in (0..8).rev() {
            sum <<= 1;
            if sum > 0xff {
                sum ^= POLYNOMIAL;
            }
            if b >> bit & 1 == 1 {
                sum ^= u16::from(a);
            }
        }
        sum as u8
    }

    #[test]
    fn every_product_is_that_of_long_multiplication() {
        for a in 0..=255 {
            let products = products(a);
            for b in 0..=255 {
                let expected = long_multiplication(a, b);
                assert_eq!(mul(a, b), expected);
                assert_eq!(products.low[usize::from(b & 15)] ^ products.high[usize::from(b >> 4)], expected);
            }
        }
    }

    #[test]
    fn every_element_but_zero_has_an_inverse() {
        assert!((1..=255).all(|a| mul(a, inverse(a)) == 1));
    }

    #[test]
    fn no_two_blocks_share_a_point() {
        let points: std::collections::BTreeSet<u8> = (0..=255).map(point).collect();
        assert_eq!(points.len(), 256);
        assert_eq!([0, 1, 2, 3, 9].map(point), [0, 1, 2, 4, 0x1d]);
    }
}
