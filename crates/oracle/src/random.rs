//! Random numbers that can be repeated, and values that find mistakes.

/// SplitMix64.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator; equal seeds give equal sequences.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Below `limit`, which is not zero.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.bits() % limit as u64) as usize
    }

    /// True once in `times`.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of the items.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// An integer of 64 bits, often a corner of some width.
    pub fn integer(&mut self) -> u64 {
        const CORNERS: [u64; 16] = [
            0,
            1,
            2,
            0x7f,
            0x80,
            0xff,
            0x7fff,
            0x8000,
            0xffff,
            0x7fff_ffff,
            0x8000_0000,
            0xffff_ffff,
            0x7fff_ffff_ffff_ffff,
            0x8000_0000_0000_0000,
            u64::MAX,
            u64::MAX - 1,
        ];
        match self.below(4) {
            0 => self.pick(&CORNERS),
            1 => self.bits() >> self.below(64),
            2 => self
                .pick(&CORNERS)
                .wrapping_add(self.below(5) as u64)
                .wrapping_sub(2),
            _ => self.bits(),
        }
    }

    /// The bits of a double, often a special one.
    pub fn double(&mut self) -> u64 {
        const CORNERS: [u64; 16] = [
            0,
            0x8000_0000_0000_0000,
            0x3ff0_0000_0000_0000,
            0xbff0_0000_0000_0000,
            0x7ff0_0000_0000_0000,
            0xfff0_0000_0000_0000,
            0x7ff8_0000_0000_0000,
            0x7ff0_0000_0000_0001,
            0x0000_0000_0000_0001,
            0x000f_ffff_ffff_ffff,
            0x0010_0000_0000_0000,
            0x7fef_ffff_ffff_ffff,
            0x41df_ffff_ffc0_0000,
            0x43e0_0000_0000_0000,
            0xc1e0_0000_0000_0000,
            0x3fe0_0000_0000_0000,
        ];
        if self.one_in(2) {
            self.pick(&CORNERS)
        } else {
            self.moderate(52, 11)
        }
    }

    /// The bits of a float, often a special one.
    pub fn single(&mut self) -> u32 {
        const CORNERS: [u32; 14] = [
            0,
            0x8000_0000,
            0x3f80_0000,
            0xbf80_0000,
            0x7f80_0000,
            0xff80_0000,
            0x7fc0_0000,
            0x7f80_0001,
            1,
            0x007f_ffff,
            0x0080_0000,
            0x7f7f_ffff,
            0x4f00_0000,
            0x3f00_0000,
        ];
        if self.one_in(2) {
            self.pick(&CORNERS)
        } else {
            self.moderate(23, 8) as u32
        }
    }

    /// A floating-point number whose exponent is often near that of one.
    fn moderate(&mut self, mantissa: u32, exponent: u32) -> u64 {
        let bias = (1 << (exponent - 1)) - 1;
        let power = match self.below(3) {
            0 => self.bits() & ((1 << exponent) - 1),
            _ => bias - 8 + self.bits() % 16,
        };
        let sign = self.bits() & 1;
        sign << (mantissa + exponent) | power << mantissa | self.bits() & ((1 << mantissa) - 1)
    }

    /// Sixteen bytes for a vector register: integers, doubles or floats.
    pub fn vector(&mut self) -> [u64; 2] {
        match self.below(3) {
            0 => [self.integer(), self.integer()],
            1 => [self.double(), self.double()],
            _ => [0, 1].map(|_| u64::from(self.single()) | u64::from(self.single()) << 32),
        }
    }
}
