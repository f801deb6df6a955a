//! Addresses of pages. The name of a repository stands in the query, since it may hold anything.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything is encoded but what a query may hold as it is and what is no separator in it (RFC 3986, section 3.4).
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/')
    .remove(b':')
    .remove(b'@');

/// A path with a query of these names and values; pairs without a value are left out.
pub fn address(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut address = path.to_owned();
    let mut mark = '?';
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        address.push(mark);
        address.push_str(name);
        address.push('=');
        address.extend(utf8_percent_encode(value, VALUE));
        mark = '&';
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_leave_its_place_in_the_query() {
        assert_eq!(
            address(
                "/repository",
                &[("gun", "reg:5000/a&b=c#d\"<é"), ("tag", ""), ("x", "1 +")]
            ),
            "/repository?gun=reg:5000/a%26b%3Dc%23d%22%3C%C3%A9&x=1%20%2B"
        );
    }
}
