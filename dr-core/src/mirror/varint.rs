//! Numbers as baselines and frames write them: seven bits a byte, the lowest first, the highest bit set in all but the last (LEB128).

/// Adds a number.
pub(super) fn put(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// Reads a number byte by byte; none if it has more than 64 bits.
pub(super) fn take<E>(mut byte: impl FnMut() -> Result<u8, E>) -> Result<Option<u64>, E> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = byte()?;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            break;
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<u64>, ()> {
        let mut bytes = bytes.iter();
        take(|| bytes.next().copied().ok_or(()))
    }

    #[test]
    fn what_is_written_is_read_back_and_no_more_than_64_bits() {
        for number in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u64::MAX - 1, u64::MAX] {
            let mut bytes = vec![];
            put(&mut bytes, number);
            assert_eq!(read(&bytes), Ok(Some(number)));
            assert_eq!(read(&bytes[..bytes.len() - 1]), Err(()), "cut short");
        }
        assert_eq!(read(&[[0xff; 9].as_slice(), &[0x02]].concat()), Ok(None));
        assert_eq!(read(&[0xff; 11]), Ok(None));
    }
}
