//! Bits: a set of small numbers.

/// A set of numbers below its capacity, a bit for each.
#[derive(Default)]
pub(crate) struct Bits(Vec<u64>);

/// How many numbers a word holds.
const WORD: usize = u64::BITS as usize;

impl Bits {
    /// Every number in it is below this.
    pub(crate) fn capacity(&self) -> usize {
        self.0.len() * WORD
    }

    /// Makes room for 64 more numbers, which are in or not.
    pub(crate) fn extend(&mut self, are_in: bool) {
        self.0.push(if are_in { !0 } else { 0 });
    }

    /// Puts every number in.
    pub(crate) fn fill(&mut self) {
        self.0.fill(!0);
    }

    /// Puts `number` in, or takes it out; returns whether it was in.
    #[inline]
    pub(crate) fn set(&mut self, number: u32, is_in: bool) -> bool {
        let (word, bit) = (&mut self.0[number as usize / WORD], 1 << (number as usize % WORD));
        let was_in = *word & bit != 0;
        *word = if is_in { *word | bit } else { *word & !bit };
        was_in
    }

    /// Whether `number` is in; no number beyond the capacity is.
    #[inline]
    pub(crate) fn has(&self, number: u32) -> bool {
        self.0.get(number as usize / WORD).is_some_and(|word| word >> (number as usize % WORD) & 1 != 0)
    }
}
