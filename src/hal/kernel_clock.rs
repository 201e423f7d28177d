//! The kernel's own word on the wall clock: adjtimex(2), which every time service tells when it has synchronised it.
//!
//! The one place of this program with unsafe code: no library wraps this call without bringing a runtime of its own.

/// Whether a time service keeps the wall clock: its state is not `TIME_ERROR` and `STA_UNSYNC` is off. The kernel sets that
/// flag at boot, and again when the estimated error has grown to 16 s, hours after the last word of a time server. `None`
/// where the call is forbidden, as by `ProtectClock=` or in a container.
pub(super) fn is_synchronised() -> Option<bool> {
    // SAFETY: a `timex` is integers throughout, for which zeros are a value; `modes` of 0 asks and sets nothing. The call
    // writes to the structure that it is given and keeps no pointer to it.
    #[expect(unsafe_code, reason = "adjtimex has no safe wrapper")]
    let (state, timex) = unsafe {
        let mut timex = std::mem::zeroed::<libc::timex>();
        (libc::adjtimex(&raw mut timex), timex)
    };
    (state >= 0).then_some(state != libc::TIME_ERROR && timex.status & libc::STA_UNSYNC == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn question_changes_nothing() {
        assert_eq!(is_synchronised(), is_synchronised());
    }
}
