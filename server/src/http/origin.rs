//! What counts as one address where clients are counted.

use std::net::IpAddr;

/// The bits of an IPv6 address that tell one subscriber from another (RFC 6177).
const SUBSCRIBER_PREFIX: u32 = 64;

/// The address, or the network of an IPv6 address: a subscriber has 2^64 of them.
pub fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let host_bits = u128::BITS - SUBSCRIBER_PREFIX;
            IpAddr::V6((address.to_bits() >> host_bits << host_bits).into())
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}
