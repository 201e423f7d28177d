//! From a measurement to an entry that waits: routes, filters and open slots.

pub mod core;
pub mod filter;
pub(crate) mod gate;
pub mod kept;
pub(crate) mod registry;
pub(crate) mod schedule;
pub mod slots;
