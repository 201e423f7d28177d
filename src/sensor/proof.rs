//! How it was shown that a kind reads its parts right.

/// What shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Bytes that a real part said, with the values published with them.
    Recording,
    /// Examples of the maker's document, or of another program's tests.
    Examples,
    /// The maker's document alone.
    Formula,
    /// A real kernel with simulated hardware.
    Kernel,
    /// Files as the kernel's documents describe them.
    KernelFiles,
    /// It reads whatever the map says, and no certain part.
    AnyPart,
}

impl Proof {
    /// As a sentence for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Recording => "Tested with what a real part said.",
            Self::Examples => "Tested with published examples, not with what a real part said.",
            Self::Formula => "Written after the maker's document; no published values were at hand to test it with.",
            Self::Kernel => "Tested on a real kernel with simulated hardware.",
            Self::KernelFiles => "Tested with files as the kernel's documents describe them.",
            Self::AnyPart => "Reads what the map says, and no certain part.",
        }
    }
}
