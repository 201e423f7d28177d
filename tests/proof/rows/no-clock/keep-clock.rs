//! Tells the kernel that the wall clock is kept, as every time service does: adjtimex(2) with a small error and without
//! `STA_UNSYNC`. The clock itself is left alone. Busybox's adjtimex has no option for it.

/// `struct timex` of 64-bit Linux, as far as it matters.
#[repr(C)]
struct Timex {
    modes: u32,
    offset: i64,
    frequency: i64,
    greatest_error: i64,
    estimated_error: i64,
    status: i32,
    rest: [u64; 32],
}

unsafe extern "C" {
    fn adjtimex(timex: *mut Timex) -> i32;
}

const ADJ_MAXERROR: u32 = 0x4;
const ADJ_ESTERROR: u32 = 0x8;
const ADJ_STATUS: u32 = 0x10;
/// The clock is kept by a phase-locked loop.
const STA_PLL: i32 = 0x1;
/// `TIME_ERROR`: the clock is not synchronised.
const TIME_ERROR: i32 = 5;

fn main() {
    let mut timex = Timex {
        modes: ADJ_MAXERROR | ADJ_ESTERROR | ADJ_STATUS,
        offset: 0,
        frequency: 0,
        greatest_error: 1000,
        estimated_error: 1000,
        status: STA_PLL,
        rest: [0; 32],
    };
    // SAFETY: the structure is at least as large as the kernel's, and the call keeps no pointer to it.
    let state = unsafe { adjtimex(&raw mut timex) };
    assert!((0..TIME_ERROR).contains(&state), "the kernel does not take it: {state}");
}
