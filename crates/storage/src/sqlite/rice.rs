//! Few small whole numbers, packed: Golomb–Rice codes (Rice, Plaunt 1971) of their distance from the median, or from the
//! number before. A rollup has many columns of some hundred numbers, for which the tables of a better coder would take
//! more room than they save.

/// Ones before the end of a code at most; what would need more is written as it is.
const ESCAPE: u32 = 24;

const SAME: u8 = 0;
const MEDIAN: u8 = 1;
const BEFORE: u8 = 2;

/// Packs numbers. How many there are is for the reader to know.
pub(super) fn pack(numbers: &[i64]) -> Vec<u8> {
    let Some(first) = numbers.first() else { return Vec::new() };
    if numbers.iter().all(|number| number == first) {
        let mut out = vec![SAME];
        varint(&mut out, zigzag(*first));
        return out;
    }
    let mut sorted = numbers.to_vec();
    let middle = *sorted.select_nth_unstable(numbers.len() / 2).1;
    let plain: Vec<u64> = numbers.iter().map(|number| zigzag(number.wrapping_sub(middle))).collect();
    let steps: Vec<u64> = numbers.windows(2).map(|pair| zigzag(pair[1].wrapping_sub(pair[0]))).collect();
    let ((plain_bits, plain_k), (step_bits, step_k)) = (cheapest(&plain), cheapest(&steps));
    let (mode, base, k, codes) = if step_bits < plain_bits {
        (BEFORE, *first, step_k, steps)
    } else {
        (MEDIAN, middle, plain_k, plain)
    };
    let mut out = vec![mode, k as u8];
    varint(&mut out, zigzag(base));
    let mut bits = Writer { out, free: 0 };
    for code in codes {
        let high = code >> k;
        if high >= u64::from(ESCAPE) {
            bits.put(u64::MAX, ESCAPE);
            bits.put(code & 0xffff_ffff, 32);
            bits.put(code >> 32, 32);
        } else {
            bits.put((1 << high) - 1, high as u32 + 1);
            bits.put(code & ((1 << k) - 1), k);
        }
    }
    bits.out
}

/// Reads `count` numbers.
///
/// # Errors
/// The bytes end too soon, or are no packed numbers.
pub(super) fn unpack(packed: &[u8], count: usize) -> Result<Vec<i64>, String> {
    let damaged = || "packed numbers are damaged".to_owned();
    if count == 0 {
        return Ok(Vec::new());
    }
    let (mode, rest) = packed.split_first().ok_or_else(damaged)?;
    if *mode == SAME {
        let (value, _) = read_varint(rest).ok_or_else(damaged)?;
        return Ok(vec![unzigzag(value); count]);
    }
    let (k, rest) = rest.split_first().ok_or_else(damaged)?;
    let k = u32::from(*k);
    if k > 63 || !matches!(*mode, MEDIAN | BEFORE) {
        return Err(damaged());
    }
    let (base, rest) = read_varint(rest).ok_or_else(damaged)?;
    let mut last = unzigzag(base);
    let mut bits = Reader { bytes: rest, at: 0 };
    // A claimed count must not allocate more than the bytes can hold.
    let mut found = Vec::with_capacity(count.min(packed.len() * 8 + 1));
    if *mode == BEFORE {
        found.push(last);
    }
    while found.len() < count {
        let high = bits.ones().ok_or_else(damaged)?;
        let code = if high == ESCAPE {
            bits.take(32).ok_or_else(damaged)? | bits.take(32).ok_or_else(damaged)? << 32
        } else {
            u64::from(high) << k | bits.take(k).ok_or_else(damaged)?
        };
        let number = last.wrapping_add(unzigzag(code));
        if *mode == BEFORE {
            last = number;
        }
        found.push(number);
    }
    Ok(found)
}

/// The parameter with which the codes take the fewest bits, and how many.
fn cheapest(codes: &[u64]) -> (u64, u32) {
    let cost = |k: u32| -> u64 {
        codes
            .iter()
            .map(|code| match code >> k {
                high if high >= u64::from(ESCAPE) => u64::from(ESCAPE) + 64,
                high => high + 1 + u64::from(k),
            })
            .sum()
    };
    (0..=48).map(|k| (cost(k), k)).min().unwrap_or_default()
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn unzigzag(code: u64) -> i64 {
    (code >> 1) as i64 ^ -((code & 1) as i64)
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f).checked_shl(7 * index as u32)?;
        if byte & 0x80 == 0 {
            return Some((number, &bytes[index + 1..]));
        }
    }
    None
}

struct Writer {
    out: Vec<u8>,
    /// Bits of the last byte that are free.
    free: u32,
}

impl Writer {
    /// Writes the lowest `count` bits, the lowest first.
    fn put(&mut self, mut bits: u64, mut count: u32) {
        while count > 0 {
            if self.free == 0 {
                self.out.push(0);
                self.free = 8;
            }
            let some = count.min(self.free);
            let part = (bits & ((1_u64 << some) - 1)) as u8;
            if let Some(last) = self.out.last_mut() {
                *last |= part << (8 - self.free);
            }
            self.free -= some;
            count -= some;
            bits = bits.checked_shr(some).unwrap_or(0);
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// Bits read so far.
    at: usize,
}

impl Reader<'_> {
    /// The next 57 bits at least, the lowest first; zeros where there are no more.
    fn window(&self) -> u64 {
        let from = self.at / 8;
        let bytes = match self.bytes.get(from..from + 8) {
            Some(eight) => eight.try_into().unwrap_or_default(),
            None => {
                let rest = self.bytes.get(from..).unwrap_or_default();
                let mut bytes = [0; 8];
                bytes[..rest.len()].copy_from_slice(rest);
                bytes
            }
        };
        u64::from_le_bytes(bytes) >> (self.at % 8)
    }

    /// Goes on by so many bits, which have to be there.
    fn skip(&mut self, count: u32) -> Option<()> {
        self.at += count as usize;
        (self.at <= self.bytes.len() * 8).then_some(())
    }

    /// Ones up to a zero, which is read too, or up to [`ESCAPE`] of them.
    fn ones(&mut self) -> Option<u32> {
        let count = self.window().trailing_ones().min(ESCAPE);
        self.skip(if count == ESCAPE { count } else { count + 1 })?;
        Some(count)
    }

    fn take(&mut self, count: u32) -> Option<u64> {
        if count > 32 {
            let low = self.take(32)?;
            return Some(low | self.take(count - 32)? << 32);
        }
        let found = self.window() & ((1_u64 << count) - 1);
        self.skip(count)?;
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive() {
        let noise: Vec<i64> = (0..300).map(|n: i64| (n * 7919 % 101) - 50).collect();
        let ramp: Vec<i64> = (0..288).map(|n| 1_000_000_000_000 + n * 1000).collect();
        let cases: [&[i64]; 8] = [
            &[],
            &[5],
            &[-7; 288],
            &[i64::MAX, i64::MIN, 0, i64::MIN, i64::MAX],
            &[0, 0, 0, 1 << 60, 0, -3],
            &noise,
            &ramp,
            &[1, 2],
        ];
        for numbers in cases {
            let packed = pack(numbers);
            assert_eq!(unpack(&packed, numbers.len()).unwrap(), numbers);
            if numbers.len() > 2 {
                for cut in 0..packed.len() {
                    // Never a panic; and never more than was asked for.
                    if let Ok(found) = unpack(&packed[..cut], numbers.len()) {
                        assert_eq!(found.len(), numbers.len());
                    }
                }
            }
        }
        assert!(pack(&noise).len() < 300 * 8 / 8, "about seven bits each: {}", pack(&noise).len());
        assert!(pack(&ramp).len() <= 288 * 2 + 12 && pack(&[-7; 288]).len() == 2);
    }

    #[test]
    fn hostile_bytes_are_refused() {
        assert!(unpack(&[], 1).is_err());
        assert!(unpack(&[9, 1, 1], 1).is_err());
        assert!(unpack(&[1, 64, 0, 0], 1).is_err());
        assert!(unpack(&[1, 3, 0], usize::MAX / 2).is_err());
    }
}
