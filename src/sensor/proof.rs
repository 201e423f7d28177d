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
            Self::Recording => "Tested with recorded data of a real part.",
            Self::Examples => "Tested with published examples, not with data of a real part.",
            Self::Formula => "Written from the maker's document, and not tested with data of a real part.",
            Self::Kernel => "Tested on a real kernel with simulated hardware.",
            Self::KernelFiles => "Tested with files as the kernel's documents describe them.",
            Self::AnyPart => "Reads what the map describes; no part was tested.",
        }
    }
}
