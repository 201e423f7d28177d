//! Requests to the status page.

use std::sync::{Arc, Mutex};

use super::converse;
use super::http::{LARGEST, Page, Way};
use crate::fuzzing::line::{Line, done};
use crate::fuzzing::same_in_pieces;

/// A request is answered or, where it ends too early, not; nothing but a page that was asked for is shown.
pub(crate) fn request(bytes: &[u8]) {
    // One that ends behind the limit is longer than one that is found to be too long before it ends.
    let bytes = &bytes[..bytes.len().min(LARGEST - 1)];
    for way in [Way::Open, Way::Loopback] {
        let (asked, written) = same_in_pieces(bytes, |piece| {
            let mut line = Line::new(bytes, piece);
            let asked = Arc::new(Mutex::new(Vec::new()));
            let written = line.written();
            let render = |page: Page| {
                asked.lock().expect("no panic").push(page);
                "{}\n".to_owned()
            };
            done(converse(&mut line, way, render)).expect("nothing fails in memory");
            let asked = asked.lock().expect("no panic").clone();
            (asked, written.load(std::sync::atomic::Ordering::Relaxed))
        });
        assert!(asked.len() <= 1 && (asked.is_empty() || written > 100));
        if let Some(page) = asked.first() {
            let path = match page {
                Page::Status => &b"/status"[..],
                Page::Metrics => b"/metrics",
            };
            assert!(bytes.windows(path.len()).any(|window| window == path), "{}", bytes.escape_ascii());
        }
    }
}
