//! Which links, addresses and routes are there, as far as the kernel has told.

use std::collections::VecDeque;

use super::message::{Fact, Told, messages};

/// So many are remembered; a Pi has a dozen. One that was forgotten is news when it is told again.
const MOST: usize = 256;

/// What is there, oldest first.
#[derive(Debug, Default)]
pub(super) struct Known(VecDeque<Fact>);

impl Known {
    /// Takes a datagram of the kernel's, and says whether something came. What cannot be read is passed over.
    pub(super) fn take(&mut self, datagram: &[u8]) -> bool {
        let mut is_news = false;
        for told in messages(datagram).filter_map(Told::read) {
            is_news |= self.learn(told);
        }
        is_news
    }

    /// Datagrams were lost: whatever may have gone and come.
    pub(super) fn overflow(&mut self) -> bool {
        self.0.clear();
        true
    }

    fn learn(&mut self, told: Told) -> bool {
        match told {
            Told::Here { fact, replaces } => {
                if replaces {
                    self.0.retain(|known| known.place != fact.place || *known == fact);
                }
                let is_news = !self.0.contains(&fact);
                // What has no link would not go with one, so it is not remembered.
                if is_news && fact.link.is_some() {
                    if self.0.len() == MOST {
                        self.0.pop_front();
                    }
                    self.0.push_back(fact);
                }
                is_news
            }
            Told::Gone(fact) => {
                self.0.retain(|known| *known != fact);
                false
            }
            // The IPv4 routes of a link that goes down go without a word of their own.
            Told::LinkDown(link) => {
                self.0.retain(|known| known.link != Some(link));
                false
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
