//! The ready list of a combinator: which of its children were woken, in order.
//!
//! Like the run queue, it is a list whose links are the children's own; so a child is in it only once, and nothing is allocated to
//! put it there.
//!
//! ```text
//!     head --> 4 --> 0 --> 7 <-- tail      links[4] = 0, links[0] = 7, links[7] = END; of all others IDLE, not in the list
//! ```
//!
//! A child that is removed stays where it is, marked as gone, until its turn comes or no child is left.

#![allow(clippy::cast_possible_truncation)] // `insert` has seen to that

/// Children by index, and a list through some of them.
pub(crate) struct ReadyList {
    /// [`IDLE`], or the next in the list; and [`GONE`] with it where there is no such child, or no more.
    links: Vec<u32>,
    head: u32,
    tail: u32,
}

const GONE: u32 = 1 << 31;
/// What the last in the list has for the next.
const END: u32 = GONE - 1;
/// Not in the list.
const IDLE: u32 = END - 1;

/// So many children there may be.
pub(crate) const MOST: usize = IDLE as usize;

impl Default for ReadyList {
    fn default() -> ReadyList {
        ReadyList { links: Vec::new(), head: END, tail: END }
    }
}

impl ReadyList {
    /// What has to grow for more children.
    pub(crate) fn links(&mut self) -> &mut Vec<u32> {
        &mut self.links
    }

    /// Every child's index is below this.
    pub(crate) fn indices(&self) -> usize {
        self.links.len()
    }

    pub(crate) fn is_child(&self, child: u32) -> bool {
        self.links.get(child as usize).is_some_and(|link| link & GONE == 0)
    }

    /// Whether `child` is one, and not in the list.
    pub(crate) fn is_idle(&self, child: u32) -> bool {
        self.links.get(child as usize) == Some(&IDLE)
    }

    /// The last in the list.
    pub(crate) fn last(&self) -> Option<u32> {
        (self.tail != END).then_some(self.tail)
    }

    /// One more child, which is in the list. Nothing if there is no memory for it.
    #[inline]
    pub(crate) fn add_within_capacity(&mut self) -> Option<u32> {
        let child = self.links.len();
        if child == self.links.capacity() {
            return None;
        }
        self.links.push(END);
        self.append(child as u32);
        Some(child as u32)
    }

    /// A child with the index of one that was removed. It is in the list; if the other one is there still, then in its place.
    #[inline]
    pub(crate) fn add_again(&mut self, child: u32) {
        self.links[child as usize] &= !GONE;
        self.push(child);
    }

    pub(crate) fn remove(&mut self, child: u32) {
        self.links[child as usize] |= GONE;
    }

    /// Puts a child at the end, unless it is in the list, or gone.
    #[inline]
    pub(crate) fn push(&mut self, child: u32) -> bool {
        match self.links.get_mut(child as usize) {
            Some(link) if *link == IDLE => *link = END,
            _ => return false,
        }
        self.append(child);
        true
    }

    /// Puts all children into the list.
    pub(crate) fn push_all(&mut self) {
        for child in 0..self.links.len() as u32 {
            self.push(child);
        }
    }

    #[inline]
    fn append(&mut self, child: u32) {
        match self.links.get_mut(self.tail as usize) {
            Some(tail) => *tail &= child | GONE, // it was END, and may be gone
            None => self.head = child,           // the list was empty
        }
        self.tail = child;
    }

    /// Takes out the first, and says whether there still is such a child.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(u32, bool)> {
        let child = self.head;
        let link = self.links.get_mut(child as usize)?; // END is no child
        self.head = *link & !GONE;
        if self.head == END {
            self.tail = END;
        }
        let gone = *link & GONE;
        *link = IDLE | gone;
        Some((child, gone == 0))
    }
}
