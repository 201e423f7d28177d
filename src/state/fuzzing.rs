//! Pages of totals as they are found in the two directories.

use super::page::Page;
use super::{Key, StateStore};
use crate::entry::ChannelId;
use crate::fuzzing::with_right_checksums;
use crate::output::rules::Past;
use crate::output::{CommandFeed, CommandSource};
use crate::store::codec;
use crate::time::Mono;

/// What is whole in a page is taken and written again as it was, and a change counts from then on.
pub(crate) fn pages(bytes: &[u8]) {
    for bytes in [bytes.to_vec(), with_right_checksums(bytes)] {
        let page = Page::read(&bytes);
        for pages in [[page.clone(), Page::default()], [Page::default(), page.clone()], [page.clone(), page.clone()]] {
            let names = [Key::Counter("rain".to_owned()), Key::Output("pump".to_owned()), Key::Channel(ChannelId(7))];
            let mut store = StateStore::new(Mono::default(), names.clone(), pages);
            let written = Page::read(&store.page());
            assert!(!written.damaged);
            for line in &written.records {
                assert_eq!(store.get(&line.key), Some(line.value.as_slice()));
            }
            for (name, value) in names.iter().filter_map(|name| Some((name, store.get(name)?))) {
                assert!(written.records.iter().any(|line| line.key == *name && line.value == value), "{name}");
                let _ = codec::decode::<u64>(value);
                let from = CommandSource { channel: ChannelId(7), field: 1, feed: CommandFeed::Channel };
                // A time beyond the clock's last year becomes that year.
                let past = Past::from_bytes(value, 1, from).to_bytes(1, from);
                assert_eq!(Past::from_bytes(&past, 1, from).to_bytes(1, from), past);
            }
            let value = vec![1; 3];
            store.set(Mono::default(), &names[0], value.clone());
            let again = StateStore::new(Mono::default(), names, [Page::read(&store.page()), page.clone()]);
            assert_eq!(again.get(&Key::Counter("rain".to_owned())), Some(value.as_slice()), "the newer one counts");
        }
    }
}
