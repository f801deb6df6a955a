//! Decides which addresses are counted as one client.

use std::net::IpAddr;

/// The length of the IPv6 prefix that identifies a subscriber (RFC 6177).
const SUBSCRIBER_PREFIX: u32 = 64;

/// The IPv4 address, or the network of an IPv6 address: a subscriber has 2^64 addresses.
pub fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let host_bits = u128::BITS - SUBSCRIBER_PREFIX;
            IpAddr::V6((address.to_bits() >> host_bits << host_bits).into())
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}
