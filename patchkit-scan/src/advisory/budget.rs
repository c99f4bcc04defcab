//! Bounds on how much of a foreign input one record may be, and where in the input a reader is.

use std::{
    cell::Cell,
    io::{self, BufRead, Read},
    rc::Rc,
};

use super::input::MAX_RECORD;

/// The most statements that one record may make. Real ones make up to some hundred thousand: a kernel's update.
const MAX_STATEMENTS: usize = 1 << 22;

/// Checks a record that says the same of each of its vulnerabilities in each of its packages, so that a long record does
/// not make a statement for each pair of many.
pub(super) fn check_pairs(vulnerabilities: usize, packages: usize) -> Result<(), String> {
    match vulnerabilities.checked_mul(packages) {
        Some(..=MAX_STATEMENTS) => Ok(()),
        _ => {
            Err(format!("{vulnerabilities} vulnerabilities in {packages} packages are more than any honest record has"))
        }
    }
}

/// How many more bytes the current record may have.
#[derive(Clone, Debug)]
pub(super) struct Budget(Rc<Cell<u64>>);

impl Budget {
    pub(super) fn new() -> Self {
        Self(Rc::new(Cell::new(MAX_RECORD)))
    }

    /// A record is done, the next one may begin.
    pub(super) fn renew(&self) {
        self.0.set(MAX_RECORD);
    }

    pub(super) fn left(&self) -> u64 {
        self.0.get()
    }

    fn spend(&self, bytes: usize) {
        self.0.set(self.left().saturating_sub(bytes as u64));
    }

    fn check(&self) -> io::Result<()> {
        if self.left() > 0 { Ok(()) } else { Err(io::Error::other("the record is too long")) }
    }
}

/// An input of which a record may only take as much as its budget.
pub(super) struct Metered<R> {
    input: R,
    budget: Budget,
}

impl<R> Metered<R> {
    pub(super) fn new(input: R, budget: Budget) -> Self {
        Self { input, budget }
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.budget.check()?;
        let room = usize::try_from(self.budget.left()).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.input.read(&mut buffer[..room])?;
        self.budget.spend(read);
        Ok(read)
    }
}

/// A metered input that knows the line it is at.
pub(super) struct Numbered<R> {
    input: R,
    budget: Budget,
    line: Rc<Cell<usize>>,
}

impl<R> Numbered<R> {
    pub(super) fn new(input: R, budget: Budget) -> Self {
        Self { input, budget, line: Rc::new(Cell::new(1)) }
    }

    /// The line that is being read, from 1; it moves along.
    pub(super) fn line(&self) -> Rc<Cell<usize>> {
        self.line.clone()
    }
}

impl<R: BufRead> Read for Numbered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = {
            let available = self.fill_buf()?;
            let length = available.len().min(buffer.len());
            buffer[..length].copy_from_slice(&available[..length]);
            length
        };
        self.consume(length);
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Numbered<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.budget.check()?;
        self.input.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        // What is in the buffer is there already: asking for it again costs nothing and cannot fail.
        if let Ok(available) = self.input.fill_buf() {
            let lines = memchr::memchr_iter(b'\n', &available[..amount.min(available.len())]).count();
            self.line.set(self.line.get() + lines);
        }
        self.budget.spend(amount);
        self.input.consume(amount);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_bounded() {
        assert_eq!(check_pairs(2000, 2000), Ok(()));
        for (vulnerabilities, packages) in [(3000, 2000), (usize::MAX, 2)] {
            assert!(check_pairs(vulnerabilities, packages).is_err());
        }
    }

    #[test]
    fn the_line_moves_along() {
        let budget = Budget::new();
        let mut input = Numbered::new("a\nb\nc".as_bytes(), budget.clone());
        let line = input.line();
        let mut text = String::new();
        input.read_line(&mut text).unwrap();
        assert_eq!((line.get(), MAX_RECORD - budget.left()), (2, 2));
        input.read_to_string(&mut text).unwrap();
        assert_eq!((line.get(), text.as_str()), (3, "a\nb\nc"));
        budget.spend(usize::MAX);
        assert!(input.fill_buf().is_err());
    }
}
