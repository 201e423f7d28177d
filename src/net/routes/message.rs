//! The kernel's messages, as linux/netlink.h, linux/rtnetlink.h, linux/if_link.h and linux/if_addr.h lay them out: numbers in
//! the machine's own byte order, everything aligned to four bytes. Lengths are not trusted: what is too short, or claims to be
//! longer than it is, ends where its bytes end.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// What a message tells, as far as it matters to a way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// This is there, perhaps since long. `replaces`: in place of another one, of whose end nothing is told.
    Here { fact: Fact, replaces: bool },
    /// This is not there any more.
    Gone(Fact),
    /// This link has no carrier, was switched off or is gone.
    LinkDown(u32),
}

/// A link that runs, an address or a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    /// The number of the link that it is of; none for a route with several.
    pub(super) link: Option<u32>,
    /// Stands for what there can be once only: the address, or the target of a route.
    pub(super) place: u64,
    /// Stands for all of it: also for a route's next hop.
    pub(super) whole: u64,
}

/// A message's kind, flags (`NLM_F_*`), and what is behind its header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    kind: u16,
    flags: u16,
    body: &'a [u8],
}

/// The messages of a datagram. The last one may have been cut.
pub(super) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    const HEADER: usize = 16;
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(datagram, 0)?).ok()?;
        let (kind, flags) = (u16_at(datagram, 4)?, u16_at(datagram, 6)?);
        let body = datagram.get(HEADER..length.min(datagram.len()))?;
        datagram = datagram.get(length.checked_next_multiple_of(4)?..).unwrap_or_default();
        Some(Message { kind, flags, body })
    })
}

/// The attributes behind a message's fixed part, as kind and value.
fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    const HEADER: usize = 4;
    /// The other two bits tell of nesting and byte order.
    const KIND: u16 = 0x3fff;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        let kind = u16_at(rest, 2)? & KIND;
        let value = rest.get(HEADER..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

impl Told {
    /// Nothing where the message is of another kind, of no use, or too short.
    pub(super) fn read(message: Message<'_>) -> Option<Self> {
        const NEW_LINK: u16 = 16;
        const DEL_LINK: u16 = 17;
        const NEW_ADDRESS: u16 = 20;
        const DEL_ADDRESS: u16 = 21;
        const NEW_ROUTE: u16 = 24;
        const DEL_ROUTE: u16 = 25;
        /// `NLM_F_REPLACE`.
        const REPLACE: u16 = 0x100;
        let Message { kind, flags, body } = message;
        let here = |fact| Self::Here { fact, replaces: flags & REPLACE != 0 };
        match kind {
            NEW_LINK | DEL_LINK => {
                let link = Link::read(body)?;
                let runs = kind == NEW_LINK && link.runs;
                Some(if runs { here(link.fact()) } else { Self::LinkDown(link.number) })
            }
            NEW_ADDRESS => address(body, true).map(here),
            DEL_ADDRESS => address(body, false).map(Self::Gone),
            NEW_ROUTE => route(body).map(here),
            DEL_ROUTE => route(body).map(Self::Gone),
            _ => None,
        }
    }
}

struct Link {
    number: u32,
    runs: bool,
}

impl Link {
    /// `ifinfomsg`: family and pad (8 bits each), type (16), number, flags, changed flags (32 each).
    fn read(body: &[u8]) -> Option<Self> {
        /// `IFF_RUNNING`: switched on, and with its carrier; a radio link has been let in.
        const RUNNING: u32 = 0x40;
        /// `IFF_LOOPBACK`: leads nowhere.
        const LOOPBACK: u32 = 0x8;
        let (number, flags) = (u32_at(body, 4)?, u32_at(body, 8)?);
        (flags & LOOPBACK == 0).then_some(Self { number, runs: flags & RUNNING != 0 })
    }

    fn fact(&self) -> Fact {
        let place = hash(b"link", &[], []);
        Fact { link: Some(self.number), place, whole: place }
    }
}

/// `ifaddrmsg`: family, length of the prefix, flags, scope (8 bits each), number of the link (32).
fn address(body: &[u8], is_new: bool) -> Option<Fact> {
    /// `IFA_F_TENTATIVE` and `IFA_F_DADFAILED`: perhaps it is another machine's. It is told again when it may be used.
    const UNUSABLE: u8 = 0x40 | 0x08;
    /// `RT_SCOPE_UNIVERSE`: neither loopback's nor link-local.
    const UNIVERSE: u8 = 0;
    /// `IFA_ADDRESS` and `IFA_LOCAL`. The others tell of lifetimes and names.
    const ADDRESS: [u16; 2] = [1, 2];
    let &[family, prefix, flags, scope] = body.first_chunk()?;
    let link = u32_at(body, 4)?;
    if scope != UNIVERSE || is_new && flags & UNUSABLE != 0 {
        return None;
    }
    let place = hash(b"address", &[family, prefix], attributes(&body[8..]).filter(|(kind, _)| ADDRESS.contains(kind)));
    Some(Fact { link: Some(link), place, whole: place })
}

/// `rtmsg`: family, lengths of target and source, service, table, protocol, scope, type (8 bits each), flags (32). By its scope
/// a default route over a modem is none of the universe, so that says nothing.
fn route(body: &[u8]) -> Option<Fact> {
    /// `RTN_UNICAST`: not to the machine itself, to many, or to nowhere.
    const UNICAST: u8 = 1;
    /// `RTM_F_CLONED`: found for a single target.
    const CLONED: u32 = 0x200;
    const TARGET: u16 = 1;
    const LINK: u16 = 4;
    const PRIORITY: u16 = 6;
    const TABLE: u16 = 15;
    /// `RTA_GATEWAY`, `RTA_MULTIPATH` (several next hops) and `RTA_VIA` (one of the other family). What is not named here
    /// tells of lifetimes and preferences.
    const NEXT_HOP: [u16; 3] = [5, 9, 18];
    let &[family, prefix, _, service, _, _, _, of_type] = body.first_chunk()?;
    if of_type != UNICAST || u32_at(body, 8)? & CLONED != 0 {
        return None;
    }
    let all = || attributes(&body[12..]);
    let link = all().find_map(|(kind, value)| (kind == LINK).then(|| u32_at(value, 0)).flatten());
    let target = all().find_map(|(kind, value)| (kind == TARGET).then_some(value));
    // Each link has them.
    if matches!(target, Some([0xfe, 0x80..=0xbf, ..] | [169, 254, ..])) {
        return None;
    }
    let in_place = |kind| [TARGET, PRIORITY, TABLE].contains(&kind);
    Some(Fact {
        link,
        place: hash(b"route", &[family, prefix, service], all().filter(|(kind, _)| in_place(*kind))),
        whole: hash(b"route", &[], all().filter(|(kind, _)| in_place(*kind) || NEXT_HOP.contains(kind))),
    })
}

/// Of what a thing is, and of some attributes.
fn hash<'a>(what: &[u8], fixed: &[u8], attributes: impl IntoIterator<Item = (u16, &'a [u8])>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (what, fixed).hash(&mut hasher);
    attributes.into_iter().for_each(|attribute| attribute.hash(&mut hasher));
    hasher.finish()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}
