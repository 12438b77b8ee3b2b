//! DDR memory behind the accelerator's bus.

use std::collections::BTreeMap;
use std::ops::Range;

/// Bytes of a page of [`Ddr`].
const PAGE: u64 = 1 << 16;

/// An access that memory answers with an error (SLVERR or DECERR on AXI).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no memory answers at address {address:#x}")]
pub struct BusError {
    /// First byte that is not there.
    pub address: u64,
}

/// What transfers read and write.
pub trait Bus {
    /// Fill `bytes` from `address` on.
    ///
    /// # Errors
    /// When memory does not answer at one of the addresses.
    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), BusError>;

    /// Write `bytes` from `address` on.
    ///
    /// # Errors
    /// When memory does not answer at one of the addresses; some bytes may have been written.
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), BusError>;
}

/// Memory of a given size from address 0 on: sparse, zero where nothing was written, with ranges
/// that answer errors.
#[derive(Clone, Debug)]
pub struct Ddr {
    size: u64,
    pages: BTreeMap<u64, Box<[u8]>>,
    faulty: Vec<Range<u64>>,
}

impl Ddr {
    /// `size` bytes of zeros. Memory is taken page by page, as it is written.
    #[must_use]
    pub const fn new(size: u64) -> Self {
        Self {
            size,
            pages: BTreeMap::new(),
            faulty: Vec::new(),
        }
    }

    /// Bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// From now on every access to an address in `range` is an error.
    pub fn set_faulty(&mut self, range: Range<u64>) {
        self.faulty.push(range);
    }

    /// All memory answers again.
    pub fn clear_faulty(&mut self) {
        self.faulty.clear();
    }

    /// See [`Bus::read`].
    ///
    /// # Errors
    /// Past the end, or in a faulty range.
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), BusError> {
        self.check(address, bytes.len())?;
        let mut rest = bytes;
        let mut at = address;
        while !rest.is_empty() {
            let (page, offset) = (at / PAGE, (at % PAGE) as usize);
            let n = rest.len().min(PAGE as usize - offset);
            let (now, later) = rest.split_at_mut(n);
            match self.pages.get(&page) {
                Some(page) => now.copy_from_slice(&page[offset..offset + n]),
                None => now.fill(0),
            }
            rest = later;
            at += n as u64;
        }
        Ok(())
    }

    /// See [`Bus::write`].
    ///
    /// # Errors
    /// Past the end, or in a faulty range. Then nothing is written.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), BusError> {
        self.check(address, bytes.len())?;
        let mut rest = bytes;
        let mut at = address;
        while !rest.is_empty() {
            let (page, offset) = (at / PAGE, (at % PAGE) as usize);
            let (now, later) = rest.split_at(rest.len().min(PAGE as usize - offset));
            let page = self
                .pages
                .entry(page)
                .or_insert_with(|| vec![0; PAGE as usize].into());
            page[offset..offset + now.len()].copy_from_slice(now);
            rest = later;
            at += now.len() as u64;
        }
        Ok(())
    }

    fn check(&self, address: u64, bytes: usize) -> Result<(), BusError> {
        if bytes == 0 {
            return Ok(());
        }
        let end = address.checked_add(bytes as u64);
        let end = end.filter(|&end| end <= self.size).ok_or(BusError {
            address: address.max(self.size),
        })?;
        let faulty = self.faulty.iter();
        let first = faulty
            .map(|r| address.max(r.start)..end.min(r.end))
            .filter(|r| !r.is_empty())
            .map(|r| r.start)
            .min();
        match first {
            Some(address) => Err(BusError { address }),
            None => Ok(()),
        }
    }
}

impl Bus for Ddr {
    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), BusError> {
        Self::read(self, address, bytes)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), BusError> {
        Self::write(self, address, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses_cross_pages_and_unwritten_bytes_are_zero() {
        let mut ddr = Ddr::new(1 << 40);
        let at = 3 * PAGE - 2;
        ddr.write(at, &[1, 2, 3, 4]).unwrap();
        let mut bytes = [9; 8];
        ddr.read(at - 2, &mut bytes).unwrap();
        assert_eq!(bytes, [0, 0, 1, 2, 3, 4, 0, 0]);
        ddr.read(1 << 39, &mut bytes).unwrap();
        assert_eq!(bytes, [0; 8]);
    }

    #[test]
    fn errors_name_the_first_byte_that_is_not_there() {
        let mut ddr = Ddr::new(256);
        let error = |address| Err(BusError { address });
        assert_eq!(ddr.write(250, &[0; 8]), error(256));
        assert_eq!(ddr.read(u64::MAX - 1, &mut [0; 8]), error(u64::MAX - 1));
        assert_eq!(ddr.write(248, &[7; 8]), Ok(()));
        ddr.set_faulty(100..104);
        assert_eq!(ddr.read(96, &mut [0; 8]), error(100));
        assert_eq!(ddr.write(102, &[0; 8]), error(102));
        assert_eq!(ddr.read(104, &mut [0; 8]), Ok(()));
        ddr.clear_faulty();
        assert_eq!(ddr.read(96, &mut [0; 8]), Ok(()));
    }
}
