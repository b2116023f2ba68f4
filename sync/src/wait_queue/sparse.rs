//! Values under numbers that rise, and leave in any order.

use std::collections::VecDeque;

/// Who has room for more than this gives it back when most of it is not needed, so that one rush does not cost memory for ever.
pub(super) const KEPT_PLACES: usize = 1024;

/// Whoever leaves is a gap first. Neither the first value nor the last is one, and no more than half of all are.
pub(super) struct Sparse<T> {
    values: VecDeque<(u64, Option<T>)>,
    gaps: usize,
}

impl<T> Default for Sparse<T> {
    fn default() -> Self {
        Self { values: VecDeque::new(), gaps: 0 }
    }
}

impl<T> Sparse<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Adds a value under a number above all others.
    pub(super) fn push(&mut self, number: u64, value: T) {
        self.values.push_back((number, Some(value)));
    }

    /// The smallest number.
    pub(super) fn first(&self) -> Option<u64> {
        self.values.front().map(|&(number, _)| number)
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut T> {
        self.values.back_mut().and_then(|(_, value)| value.as_mut())
    }

    pub(super) fn pop_last(&mut self) -> Option<T> {
        let (_, value) = self.values.pop_back()?;
        self.tidy();
        value
    }

    /// What has the largest number up to this one, unless that has left.
    pub(super) fn up_to(&mut self, number: u64) -> Option<(u64, &mut T)> {
        let place = self.place(number)?;
        let (number, value) = &mut self.values[place];
        Some((*number, value.as_mut()?))
    }

    pub(super) fn take(&mut self, number: u64) -> Option<T> {
        let place = self.place(number)?;
        let (_, value) = self.values.get_mut(place).filter(|(found, _)| *found == number)?;
        let value = value.take()?;
        self.gaps += 1;
        self.tidy();
        Some(value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.values.iter().filter_map(|(number, value)| Some((*number, value.as_ref()?)))
    }

    pub(super) fn into_values(self) -> impl Iterator<Item = T> {
        self.values.into_iter().filter_map(|(_, value)| value)
    }

    fn place(&self, number: u64) -> Option<usize> {
        self.values.partition_point(|&(other, _)| other <= number).checked_sub(1)
    }

    fn tidy(&mut self) {
        let Self { values, gaps } = self;
        while let Some((_, None)) = values.front() {
            values.pop_front();
            *gaps -= 1;
        }
        while let Some((_, None)) = values.back() {
            values.pop_back();
            *gaps -= 1;
        }
        if *gaps > values.len() / 2 {
            values.retain(|(_, value)| value.is_some());
            *gaps = 0;
        }
        if values.capacity() > KEPT_PLACES && values.len() < values.capacity() / 4 {
            values.shrink_to(2 * values.len());
        }
    }
}
