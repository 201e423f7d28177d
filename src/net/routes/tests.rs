//! Bytes that a Linux 6 sent in a network of its own with one pair of links, in hexadecimal. Of messages on links, 1,492 bytes
//! long, the first bytes. The machine's byte order is little-endian.

use super::known::Known;

/// `ip link set d0 up`, without a carrier yet.
const LINK_UP: &str =
    "d405000010000000000000000000000000000100030000000310010001000000070003006430000008000d00e8030000";
/// Then the other end came up.
const LINK_RUNS: &str =
    "d405000010000000000000000000000000000100030000004310010000000000070003006430000008000d00e8030000";
/// `ip link set d1 down`: the carrier is gone.
const LINK_LOST: &str =
    "d405000010000000000000000000000000000100030000000310000000000000070003006430000008000d00e8030000";
/// `ip link del d0`.
const LINK_GONE: &str =
    "a8020000110000000000000000000000000001000300000002100000ffffffff070003006430000008000d00e8030000";
/// `ip link set lo up`.
const LOOPBACK_RUNS: &str = "bc05000010000000000000000000000000000403010000004900010001000000070003006c6f0000";

/// `ip addr add 192.0.2.10/24 dev d0`.
const ADDRESS: &str = "4c00000014000000c1a90d6bc25f0000021880000300000008000100c000020a08000200c000020a07000300643000000800\
     08008000000014000600ffffffffffffffffc4971200c4971200";
/// `ip addr replace 192.0.2.10/24 dev d0 valid_lft 300`, as a DHCP client does when its lease is renewed.
const ADDRESS_RENEWED: &str = "4c00000014000000c1a90d6bd25f0000021800000300000008000100c000020a08000200c000020a07000300643000000800\
     080000000000140006002c0100002c010000c497120002981200";
/// `ip addr del 192.0.2.10/24 dev d0`.
const ADDRESS_GONE: &str = "4c00000015000000caa90d6b17610000021800000300000008000100c000020a08000200c000020a07000300643000000800\
     08000000000014000600c0000000c0000000c497120012981200";
/// `ip addr add 169.254.7.7/16 dev d0 scope link`, as without a DHCP server.
const LINK_LOCAL: &str = "4c00000014000000daaa0d6bb8740000021080fd0300000008000100a9fe070708000200a9fe0707070003006430000008000800\
     8000000014000600ffffffffffffffff7b0513007b051300";
/// 127.0.0.1/8.
const LOOPBACK: &str = "4c000000140000000000000000000000020880fe01000000080001007f000001080002007f000001070003006c6f00000800\
     08008000000014000600ffffffffffffffffa3971200a3971200";
/// `ip -6 addr add 2001:db8::10/64 dev d0`: another machine may have it.
const ADDRESS_6_TENTATIVE: &str = "480000001400000000000000000000000a40c000030000001400010020010db8000000000000000000000010\
     14000600ffffffffffffffff2b9912002b99120008000800c0000000";
/// Two seconds later: none has.
const ADDRESS_6: &str = "480000001400000000000000000000000a408000030000001400010020010db8000000000000000000000010\
     14000600ffffffffffffffff2b9912002b9912000800080080000000";
/// The same with a new lifetime, as by each router advertisement.
const ADDRESS_6_RENEWED: &str = "480000001400000000000000000000000a400000030000001400010020010db8000000000000000000000010\
     140006002c0100002c0100002b991200129a12000800080000000000";
/// fe80::5014:e0ff:febf:44d4, which every link gives itself.
const ADDRESS_6_LINK_LOCAL: &str = "500000001400000000000000000000000a4080fd0300000014000100fe800000000000005014e0fffebf44d4\
     14000600ffffffffffffffffd4971200d4971200080008008000000005000b0003000000";

/// `ip route add default via 192.0.2.1`.
const DEFAULT: &str =
    "3400000018000006d8aa0d6ba674000002000000fe0300010000000008000f00fe00000008000500c00002010800040003000000";
/// `ip route replace default via 192.0.2.2`.
const DEFAULT_BY_ANOTHER: &str =
    "3400000018000001d8aa0d6ba874000002000000fe0300010000000008000f00fe00000008000500c00002020800040003000000";
/// `ip route replace default via 192.0.2.1`.
const DEFAULT_AGAIN: &str =
    "3400000018000001d8aa0d6baa74000002000000fe0300010000000008000f00fe00000008000500c00002010800040003000000";
/// `ip route del default`.
const DEFAULT_GONE: &str =
    "3400000019000000d9aa0d6bac74000002000000fe0300010000000008000f00fe00000008000500c00002010800040003000000";
/// `ip route add default dev d0`, as over a modem.
const DEFAULT_BY_LINK: &str =
    "2c00000018000006caa90d6b1a61000002000000fe03fd010000000008000f00fe0000000800040003000000";
/// `ip route add default nexthop via 192.0.2.1 nexthop via 192.0.2.2`.
const DEFAULT_BY_TWO: &str = "4800000018000006d9aa0d6bae74000002000000fe0300010000000008000f00fe00000024000900100000000300000008000500\
     c0000201100000000300000008000500c0000202";
/// `ip -6 route add default via fe80::1 dev d0`.
const DEFAULT_6: &str = "7400000018000006d9aa0d6bb27400000a000000fe0300010000000008000f00fe00000008000600000400001400050\
     0fe800000000000000000000000000001080004000300000024000c0000000000000000000000000000000000000000000000000000000000000000000\
     500140000000000";
/// `ip -6 route replace default via fe80::1 dev d0 expires 300`, as at a router advertisement where no kernel sees to that.
const DEFAULT_6_RENEWED: &str = "7400000018000001d9aa0d6bb47400000a000000fe0300010000000008000f00fe00000008000600000400001400050\
     0fe800000000000000000000000000001080004000300000024000c0000000000000000003075000000000000000000000000000000000000000000000\
     500140000000000";
/// To the machine's own address 192.0.2.10.
const ROUTE_TO_OWN: &str = "3c00000018000006000000000000000002200000ff02fe020000000008000f00ff00000008000100c000020a08000700c000020a\
     0800040003000000";
/// ff00::/8, which every link has; and fe80::/64.
const ROUTE_6_TO_MANY: &str = "740000001800000600000000000000000a080000ff0200050000000008000f00ff00000014000100ff00000000000000000000\
     00000000000800060000010000080004000300000024000c000000000000000000000000000000000000000000000000000000000000000000050014000\
     0000000";
const ROUTE_6_LINK_LOCAL: &str = "740000001800000600000000000000000a400000fe0200010000000008000f00fe00000014000100fe80000000000000000000\
     00000000000800060000010000080004000300000024000c000000000000000000000000000000000000000000000000000000000000000000050014000\
     0000000";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().map(|digit| digit.to_digit(16).expect("a digit")).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).expect("a byte")).collect()
}

/// Which of these datagrams are news, one after the other.
fn news<const COUNT: usize>(told: [&str; COUNT]) -> [bool; COUNT] {
    let mut known = Known::default();
    told.map(|hex| known.take(&bytes(hex)))
}

#[test]
fn a_carrier_an_address_and_a_default_route_are_news() {
    assert_eq!(news([LINK_UP, LINK_RUNS, ADDRESS, DEFAULT]), [false, true, true, true]);
    assert_eq!(news([ADDRESS_6, DEFAULT_6]), [true, true]);
    assert_eq!(news([DEFAULT_BY_LINK, DEFAULT_BY_TWO]), [true, true], "by a modem, and by two ways");
}

#[test]
fn what_is_told_again_for_its_lifetime_is_no_news() {
    assert_eq!(news([ADDRESS, ADDRESS_RENEWED, ADDRESS_RENEWED]), [true, false, false]);
    assert_eq!(news([ADDRESS_6_RENEWED, ADDRESS_6_RENEWED]), [true, false], "it was there before us");
    assert_eq!(news([DEFAULT_6, DEFAULT_6_RENEWED, DEFAULT_6_RENEWED]), [true, false, false]);
    assert_eq!(news([LINK_RUNS, LINK_RUNS]), [true, false], "a radio link that scans");
}

#[test]
fn what_went_and_comes_back_is_news() {
    assert_eq!(news([DEFAULT, DEFAULT_GONE, DEFAULT]), [true, false, true]);
    assert_eq!(news([ADDRESS, ADDRESS_GONE, ADDRESS]), [true, false, true]);
    assert_eq!(news([LINK_RUNS, LINK_LOST, LINK_RUNS]), [true, false, true]);
    assert_eq!(news([LINK_RUNS, LINK_GONE, LINK_RUNS]), [true, false, true]);
}

#[test]
fn the_routes_of_a_link_that_was_down_are_news_though_nobody_told_that_they_went() {
    assert_eq!(news([LINK_RUNS, DEFAULT, LINK_LOST, LINK_RUNS, DEFAULT]), [true, true, false, true, true]);
}

#[test]
fn a_route_that_was_replaced_is_news_when_it_comes_back() {
    let told = [DEFAULT, DEFAULT_AGAIN, DEFAULT_BY_ANOTHER, DEFAULT_AGAIN];
    assert_eq!(news(told), [true, false, true, true]);
}

#[test]
fn what_leads_nowhere_is_no_news() {
    let nowhere = [LOOPBACK_RUNS, LOOPBACK, LINK_LOCAL, ADDRESS_6_LINK_LOCAL];
    assert_eq!(news(nowhere), [false; 4]);
    assert_eq!(news([ROUTE_TO_OWN, ROUTE_6_TO_MANY, ROUTE_6_LINK_LOCAL]), [false; 3]);
}

#[test]
fn an_ipv6_address_is_news_when_it_may_be_used() {
    assert_eq!(news([ADDRESS_6_TENTATIVE, ADDRESS_6]), [false, true]);
}

#[test]
fn several_messages_of_one_datagram_count_each() {
    assert_eq!(news([&[LOOPBACK, DEFAULT].concat()[..], DEFAULT]), [true, false]);
    assert_eq!(news([&[LINK_LOST, DEFAULT].concat()[..], DEFAULT]), [false, true], "the first claims all that follows");
}

#[test]
fn lost_messages_are_news_and_nothing_is_known_any_more() {
    let mut known = Known::default();
    assert!(known.take(&bytes(DEFAULT)));
    assert!(known.overflow());
    assert!(known.take(&bytes(DEFAULT)));
}

#[test]
fn bytes_that_are_cut_or_wrong_are_read_within_their_bounds() {
    let all = [LINK_RUNS, ADDRESS, ADDRESS_6, DEFAULT, DEFAULT_6, DEFAULT_BY_TWO].map(bytes);
    for whole in &all {
        for length in 0..whole.len() {
            Known::default().take(&whole[..length]);
        }
        for (place, value) in (0..whole.len()).flat_map(|place| [0, 1, 3, 0x7f, 0xff].map(|value| (place, value))) {
            let mut wrong = whole.clone();
            wrong[place] = value;
            Known::default().take(&wrong);
        }
    }
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..10_000 {
        let mut noise: Vec<u8> = (0..random.usize(0..100)).map(|_| random.u8(..)).collect();
        if noise.len() > 16 {
            // A kind that is looked at, and sometimes a length that is right.
            let length = if random.bool() { u32::try_from(noise.len()).expect("short") } else { random.u32(..) };
            noise[..4].copy_from_slice(&length.to_ne_bytes());
            noise[4..6].copy_from_slice(&random.u16(16..26).to_ne_bytes());
        }
        Known::default().take(&noise);
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut known = Known::default();
    for number in 0..1000_u16 {
        let mut address = bytes(ADDRESS);
        // IFA_ADDRESS and IFA_LOCAL.
        address[30..32].copy_from_slice(&number.to_be_bytes());
        address[38..40].copy_from_slice(&number.to_be_bytes());
        assert!(known.take(&address));
    }
    assert_eq!(known.len(), 256);
}
