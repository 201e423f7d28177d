//! Scenarios that wait most of the time play at once.

use std::panic::resume_unwind;
use std::thread;

/// Plays scenarios at once. All are played to their ends; then a failed one fails the test.
pub(crate) fn together<T: Send>(scenarios: Vec<(&str, impl FnOnce() -> T + Send)>) -> Vec<T> {
    thread::scope(|scope| {
        let playing: Vec<_> = scenarios.into_iter().map(|(name, scenario)| (name, scope.spawn(scenario))).collect();
        let played: Vec<_> = playing.into_iter().map(|(name, scenario)| (name, scenario.join())).collect();
        for (name, result) in &played {
            if result.is_err() {
                eprintln!("failed: {name}");
            }
        }
        played.into_iter().map(|(_, result)| result.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}
