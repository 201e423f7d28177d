//! Which registers are read in one request.

use super::frame::Request;
use super::register::Register;

/// Registers that nobody asked for are read along up to this many in a row: a request costs more than they do.
const GAP: u16 = 10;
/// The most registers in a request (MODBUS Application Protocol V1.1b3, 6.3). Sixteen bits count as one.
pub(super) const MOST: u16 = 125;

/// Values that are read together, by their places in the list of registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) request: Request,
    pub(super) members: Vec<usize>,
}

/// The fewest requests, none of which reads more than `most` registers.
pub(super) fn plan(unit: u8, registers: &[Register], most: u16) -> Vec<Block> {
    let mut order: Vec<usize> = (0..registers.len()).collect();
    order.sort_by_key(|place| (registers[*place].function, registers[*place].at));
    let mut blocks: Vec<Block> = Vec::new();
    for place in order {
        let single = single(unit, registers, place);
        let end = u32::from(single.request.at) + u32::from(single.request.count);
        if let Some(Block { request, members }) = blocks.last_mut() {
            let most = u32::from(most) * if request.is_of_bits() { 16 } else { 1 };
            let count = end.saturating_sub(request.at.into()).max(request.count.into());
            let is_near = u32::from(single.request.at) <= u32::from(request.at) + u32::from(request.count + GAP);
            if request.function == single.request.function && is_near && count <= most {
                request.count = u16::try_from(count).unwrap_or(most_of_all(*request));
                members.push(place);
                continue;
            }
        }
        blocks.push(single);
    }
    blocks
}

const fn most_of_all(request: Request) -> u16 {
    if request.is_of_bits() { 16 * MOST } else { MOST }
}

/// One value alone.
pub(super) fn single(unit: u8, registers: &[Register], place: usize) -> Block {
    let Register { function, at, .. } = registers[place];
    let request = Request { unit, function, at, count: registers[place].count() };
    Block { request, members: vec![place] }
}
