//! Decisions, read from a fuzzer's bytes. Once they are used up every decision is the first one.

/// What is left of the bytes.
pub(crate) struct Input<'d>(pub(crate) &'d [u8]);

impl Input<'_> {
    /// Whether nothing is left to decide with.
    pub(crate) fn is_used_up(&self) -> bool {
        self.0.is_empty()
    }

    /// Any byte.
    pub(crate) fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    /// A number below `options`.
    pub(crate) fn choice(&mut self, options: usize) -> usize {
        usize::from(self.byte()) % options
    }

    /// One of `options`.
    pub(crate) fn one_of<T: Copy>(&mut self, options: &[T]) -> T {
        options[self.choice(options.len())]
    }

    /// Up to 255 bytes.
    pub(crate) fn bytes(&mut self) -> Vec<u8> {
        let len = usize::from(self.byte()).min(self.0.len());
        self.0.split_off(..len).unwrap_or_default().to_vec()
    }
}
