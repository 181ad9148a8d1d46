//! What is on its way, in order of arrival and, at one instant, of departure.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Things with a time. The heap holds small keys; the things lie still in a slab.
pub(super) struct Queue<T> {
    heap: BinaryHeap<Reverse<(u64, u64, u32)>>,
    slab: Vec<Option<T>>,
    free: Vec<u32>,
    next: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), slab: Vec::new(), free: Vec::new(), next: 0 }
    }
}

impl<T> Queue<T> {
    /// Puts a thing in, to come out at `at` (monotonic nanoseconds), behind what was put in earlier for the same time.
    pub(super) fn push(&mut self, at: u64, thing: T) {
        let place = self.free.pop().unwrap_or(self.slab.len() as u32);
        match self.slab.get_mut(place as usize) {
            Some(slot) => *slot = Some(thing),
            None => self.slab.push(Some(thing)),
        }
        self.heap.push(Reverse((at, self.next, place)));
        self.next += 1;
    }

    /// When the next thing comes out.
    pub(super) fn next(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at, _, _))| *at)
    }

    /// Takes the next thing that is due by `mono`.
    pub(super) fn pop(&mut self, mono: u64) -> Option<T> {
        if self.next()? > mono {
            return None;
        }
        let Reverse((_, _, place)) = self.heap.pop()?;
        self.free.push(place);
        self.slab.get_mut(place as usize)?.take()
    }

    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_what_is_due_in_order_of_time_and_then_of_departure() {
        let mut queue = Queue::default();
        for (at, thing) in [(5, 'b'), (3, 'a'), (5, 'c'), (9, 'd')] {
            queue.push(at, thing);
        }
        let due: String = std::iter::from_fn(|| queue.pop(5)).collect();
        assert_eq!((due.as_str(), queue.next(), queue.len()), ("abc", Some(9), 1));
        queue.push(9, 'e');
        assert_eq!([queue.pop(9), queue.pop(9), queue.pop(9)], [Some('d'), Some('e'), None]);
    }
}
