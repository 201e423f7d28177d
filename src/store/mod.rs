//! What outlives the process: records with checksums, and the folders of files that hold them.
//!
//! [`record`] frames bytes so that a torn or flipped file says which of them hold, and [`codec`] makes payloads of values. A
//! [`journal`] is added to at each change, a [`snapshot`] replaced. [`storage`] is where files are: a directory, memory, or a test's. What the
//! records mean is their owners' affair: the spool's, the pipeline's, the state store's, the outputs'.

pub mod codec;
pub mod journal;
pub mod record;
pub mod snapshot;
pub mod storage;
