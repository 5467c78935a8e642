//! Powers of `x` modulo the polynomials, by which the folding methods multiply.
//!
//! Both CRCs are reflected: in a 64-bit number the bit `63 - e` stands for the term of degree `e`.

/// A polynomial without its leading term, and its degree.
#[derive(Clone, Copy)]
pub(super) struct Polynomial {
    low: u64,
    degree: u32,
}

pub(super) const CRC32C: Polynomial = Polynomial { low: 0x82f6_3b78 << 32, degree: 32 };
pub(super) const CRC64: Polynomial = Polynomial { low: 0xc96c_5795_d787_0f42, degree: 64 };

impl Polynomial {
    /// `x` to the power of `exponent`.
    pub(super) const fn power(self, exponent: u32) -> u64 {
        self.times(1 << 63, exponent)
    }

    /// `number` times `x` to the power of `exponent`.
    pub(super) const fn times(self, mut number: u64, exponent: u32) -> u64 {
        let highest = 1 << (64 - self.degree);
        let mut done = 0;
        while done < exponent {
            let over = number & highest != 0;
            number = (number & !highest) >> 1;
            if over {
                number ^= self.low;
            }
            done += 1;
        }
        number
    }

    /// What multiplies the first and the second half of 16 bytes so that they stand `bits` earlier.
    ///
    /// The product of two reflected numbers is one bit short, and the first half stands 64 bits before the second.
    pub(super) const fn fold(self, bits: u32) -> [u64; 2] {
        [self.power(bits + 63), self.power(bits - 1)]
    }

    /// The polynomial of degree 64 as a product of two reflected numbers needs it: without its last term.
    pub(super) const fn divisor(self) -> u64 {
        self.low << 1 | 1
    }

    /// By what the quotient of a division by the polynomial is found: the divisor's inverse, modulo `x` to the power
    /// of 64.
    pub(super) const fn quotient(self) -> u64 {
        let (mut inverse, mut product, mut bit) = (0, 0, 0);
        while bit < 64 {
            // The product is to be one: its lowest bit alone.
            if (product >> bit) & 1 != (bit == 0) as u64 {
                inverse |= 1 << bit;
                product ^= self.divisor() << bit;
            }
            bit += 1;
        }
        inverse
    }
}
