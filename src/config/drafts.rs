//! A map as far as it could be read.

use std::ops::Range;

use super::diagnostic::Source;
use super::{channels, devices, outputs, sensors};
use crate::entry::Column;
use crate::pipeline::slots::Publish;

/// Everything that was read.
pub(super) struct Drafts {
    pub(super) devices: Vec<devices::Draft>,
    pub(super) channels: Vec<channels::Draft>,
    pub(super) sensors: Vec<sensors::Draft>,
    pub(super) outputs: Vec<outputs::Draft>,
}

/// Something that is published into a column.
pub(super) struct Published<'a> {
    /// Index of the channel.
    pub(super) channel: usize,
    pub(super) column: Column,
    /// When it goes out.
    pub(super) publish: Publish,
    pub(super) span: Range<usize>,
    pub(super) by: &'a str,
}

/// Where the other one is, for the help of a fault.
pub(super) fn elsewhere(source: &Source, offset: usize) -> String {
    format!("the first is in {}", source.place(offset))
}
