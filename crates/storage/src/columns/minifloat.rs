//! Whole numbers to two significant digits and more: how long a check took need not be known finer.

/// Bits that are kept: the error is at most 1 in 256.
const BITS: u32 = 7;

/// A code that grows with the number, and is as smooth as its logarithm, which compresses well.
pub(crate) fn shorten(number: u32) -> u32 {
    let shift = (32 - number.leading_zeros()).saturating_sub(BITS + 1);
    // Half of what is cut off is added first: to the nearest, and a carry moves to the next power by itself.
    let rounded = if shift == 0 { number } else { number.saturating_add(1 << (shift - 1)) };
    let shift = (32 - rounded.leading_zeros()).saturating_sub(BITS + 1);
    (shift << BITS) + (rounded >> shift)
}

/// The number of a code.
pub(crate) fn lengthen(code: u32) -> u32 {
    if code < 2 << BITS {
        return code;
    }
    let shift = (code >> BITS) - 1;
    let mantissa = (code & ((1 << BITS) - 1)) | 1 << BITS;
    mantissa.checked_shl(shift).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_to_a_256th_and_small_ones_exactly() {
        let mut before = 0;
        for number in (0..5000).chain((5000..4_000_000_000_u32).step_by(7_654_321)).chain([u32::MAX]) {
            let code = shorten(number);
            assert!(code >= before, "{number}: the order is kept");
            before = code;
            let back = lengthen(code);
            let error = f64::from(back.abs_diff(number)) / f64::from(number.max(1));
            assert!(error <= 1.0 / 256.0 && (number >= 256 || error == 0.0), "{number} {back}");
        }
    }
}
