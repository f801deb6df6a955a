//! Addresses that events are not sent to unless it is allowed: whoever may name a URL could otherwise have the server talk
//! to services that only it can reach.

use std::{
    net::{IpAddr, SocketAddr},
    sync::LazyLock,
};

use ipnet::IpNet;
use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

/// The networks of special-purpose addresses (RFC 6890, RFC 6598, RFC 4193, RFC 6052).
static PRIVATE: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "224.0.0.0/3",
        "::/127",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "fc00::/7",
        "fe80::/10",
        "ff00::/8",
    ]
    .iter()
    .filter_map(|network| network.parse().ok())
    .collect()
});

/// Whether an address is one of a private network, or of this machine.
fn is_private(address: IpAddr) -> bool {
    let address = address.to_canonical();
    PRIVATE.iter().any(|network| network.contains(&address))
}

/// The private address that is the host of a URL. Names are looked up when they are used.
pub(super) fn private_in(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    let address: IpAddr = host.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    is_private(address).then(|| host.to_owned())
}

/// Looks names up, and refuses those that lead to a private address: the connection is made to what was looked at.
pub(super) struct Guarded;

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let name = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            match found.iter().find(|address| is_private(address.ip())) {
                Some(address) => Err(format!(
                    "{name} has the address {}, which is one of a private network or of this machine; \
                     allow_private: true allows it",
                    address.ip()
                )
                .into()),
                None => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_of_the_list_is_read() {
        assert_eq!(PRIVATE.len(), 16);
    }
}
