//! Reads Envoy's `x-forwarded-client-cert` so that no value taken from a certificate can be mistaken for a part of the
//! header.
//! <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#x-forwarded-client-cert>
//!
//! A header is a list of elements (`,`) of parts (`;`), `Key=value`. Envoy quotes `Cert`, `Chain` and `Subject`, but
//! writes `By`, `URI` and `DNS` unquoted. A URI may contain `,` and `;`, so a client whose certificate contains such a
//! URI can inject parts and whole elements. Envoy's order prevents this: it writes `By`, `Hash`, `Cert`, `Chain`,
//! `Subject`, and then `URI` and `DNS`. So no part that identifies the client may come after a `URI` or `DNS`, neither
//! in the same element nor in another one.
//!
//! If there are several elements, the last one counts: the proxy nearest to this server wrote it (`APPEND_FORWARD`),
//! about the connection that it accepted itself. The elements before it were sent to that proxy by its client.

/// The length of a SHA-256, in bytes.
const HASH_LENGTH: usize = 32;

/// The relevant parts of the element that counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// The SHA-256 of the certificate; `None` if `Hash` is not a SHA-256.
    pub(super) hash: Option<[u8; HASH_LENGTH]>,
    /// `Cert`, URL-encoded.
    pub(super) certificate: Option<&'a str>,
    /// `Chain`, URL-encoded.
    pub(super) chain: Option<&'a str>,
}

#[derive(Default)]
struct Keys {
    hash: bool,
    subject: bool,
    free: bool,
}

/// Finds the element that counts.
///
/// # Errors
/// When the header is malformed or ambiguous.
pub(super) fn counting(text: &str) -> Result<Element<'_>, &'static str> {
    let mut rest = text;
    let mut element = Element::default();
    let mut seen = Keys::default();
    loop {
        let (key, value, quoted, after) = part(rest, seen.free)?;
        take(&mut element, &mut seen, key, value, quoted)?;
        match after.chars().next() {
            None => return Ok(element),
            Some(';') => {}
            // A comma.
            Some(_) if seen.free => {
                return Err(
                    "there is a comma after a URI or DNS name, which Envoy does not quote, so it is unclear whether \
                     it begins an element; have the proxy send its own element alone (SANITIZE_SET), without URI and DNS",
                );
            }
            Some(_) => (element, seen) = Default::default(),
        }
        rest = after.get(1..).unwrap_or_default();
    }
}

/// Reads one part: its key, its value, whether the value was quoted, and the rest, starting with the separator. `free`
/// means that the text may belong to an unquoted value.
fn part(text: &str, free: bool) -> Result<(&str, &str, bool, &str), &'static str> {
    let end = text.find([',', ';']).unwrap_or(text.len());
    let (key, from) = match text.find('=').filter(|at| *at < end) {
        Some(at) => (text.get(..at).unwrap_or_default(), at + 1),
        None if free => ("", 0),
        None => return Err("a part is not key=value"),
    };
    let value = text.get(from..).unwrap_or_default();
    if let Some(inner) = value.strip_prefix('"') {
        let length = closing_quote(inner).ok_or("a quote is not closed")?;
        let after = inner.get(length + 1..).unwrap_or_default();
        let after = after.trim_start();
        if !(after.is_empty() || after.starts_with([',', ';'])) {
            return Err("there is text after a closing quote");
        }
        return Ok((key.trim(), inner.get(..length).unwrap_or_default(), true, after));
    }
    let length = value.find([',', ';']).unwrap_or(value.len());
    let (value, after) = value.split_at(length);
    if value.contains('"') {
        return Err("there is a quote inside a value");
    }
    Ok((key.trim(), value.trim(), false, after))
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices()
        .find(|(_, character)| {
            let closes = *character == '"' && !escaped;
            escaped = *character == '\\' && !escaped;
            closes
        })
        .map(|(at, _)| at)
}

fn take<'a>(
    element: &mut Element<'a>,
    seen: &mut Keys,
    key: &str,
    value: &'a str,
    quoted: bool,
) -> Result<(), &'static str> {
    let key = key.to_ascii_lowercase();
    if seen.free && matches!(key.as_str(), "hash" | "cert" | "chain" | "subject" | "by") {
        return Err(
            "a part that identifies the client follows a URI or DNS name, which Envoy does not quote and writes last",
        );
    }
    match key.as_str() {
        "cert" if element.certificate.is_some() => return Err("Cert appears twice"),
        "chain" if element.chain.is_some() => return Err("Chain appears twice"),
        "hash" if seen.hash => return Err("Hash appears twice"),
        "subject" if seen.subject => return Err("Subject appears twice"),
        "subject" if !quoted && !value.is_empty() => return Err("Subject is not quoted"),
        "cert" => element.certificate = Some(value),
        "chain" => element.chain = Some(value),
        "hash" => {
            seen.hash = true;
            element.hash = hex::decode(value).ok().and_then(|bytes| bytes.try_into().ok());
        }
        "subject" => seen.subject = true,
        "uri" | "dns" => seen.free = true,
        "by" => {}
        // This is the rest of a URI.
        _ if seen.free => {}
        _ => return Err("there is a part with a key that Envoy does not write"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn certificate(text: &str) -> Result<Option<&str>, &'static str> {
        counting(text).map(|element| element.certificate)
    }

    #[test]
    fn what_envoy_writes_is_read() {
        let hash = "00".repeat(HASH_LENGTH);
        for (text, expected) in [
            ("Hash=aa;Cert=\"b\"", Some("b")),
            (
                "By=spiffe://p/q;By=https://p/,x;Hash=aa;Cert=\"b\";Subject=\"\"",
                None,
            ),
            (
                "By=spiffe://p;Hash=aa;Cert=\"b\";Chain=\"c\";Subject=\"CN=a\\\"b\\\\,O=x;Cert=y\";URI=u;URI=v;DNS=w",
                Some("b"),
            ),
            ("Hash=aa;Cert=\"b\";URI=https://x/a;v=1;w", Some("b")),
            ("Hash=aa;Cert=\"b\";URI=;DNS=", Some("b")),
            ("Hash=aa;Cert=\"a\", Hash=bb;Cert=\"b\"", Some("b")),
            (
                "Hash=aa;Cert=\"a\";Subject=\"CN=,Cert=\",Hash=bb;Cert=\"b\";URI=u",
                Some("b"),
            ),
            ("Hash=aa;Subject=\"CN=a\"", None),
            ("By=p;Hash=aa;URI=u", None),
            ("cert=b", Some("b")),
        ] {
            match expected {
                None if text.contains(",x") => assert!(certificate(text).is_err(), "{text}"),
                _ => assert_eq!(certificate(text), Ok(expected), "{text}"),
            }
        }
        assert_eq!(
            counting(&format!("Hash={hash};Cert=\"b\"")).unwrap().hash,
            Some([0; HASH_LENGTH])
        );
    }

    #[test]
    fn no_value_can_write_a_part_that_vouches() {
        let real = "By=spiffe://proxy;Hash=aa;Cert=\"bob\";Chain=\"bob\";Subject=\"CN=bob\"";
        let without = "By=spiffe://proxy;Hash=aa;Subject=\"CN=bob\"";
        let injected = [
            "Cert=\"alice\"",
            "cert=alice",
            " CERT = \"alice\"",
            "Chain=\"alice\"",
            "Hash=bb;Cert=\"alice\"",
            "By=spiffe://proxy;Hash=bb;Cert=\"alice\";Chain=\"alice\";Subject=\"CN=alice\"",
            "Subject=\"\";Cert=\"alice\"",
            "x=\"y\";Cert=\"alice\"",
        ];
        for element in [real, without] {
            for key in ["URI", "DNS", "uri", "Dns "] {
                for begin in ["spiffe://x/a", "", "\"x\"", "\"x", "x\"", "\\\""] {
                    for between in [";", ",", ";,", ",;", " ; ", " , ", "\",", "\";"] {
                        for more in injected {
                            let text = format!("{element};{key}={begin}{between}{more}");
                            let read = certificate(&text);
                            assert!(read.is_err(), "{text}: {read:?}");
                            let text = format!("{text};DNS=x");
                            assert!(certificate(&text).is_err(), "{text}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_a_client_wrote_in_front_does_not_reach_into_the_proxys_element() {
        let own = "By=p;Hash=aa;Cert=\"bob\";Subject=\"CN=x,Cert=alice\"";
        for sent in [
            "Subject=\"",
            "Subject=\"x\\",
            "Cert=\"alice\"",
            "Cert=\"alice\";Subject=\"",
            "\"",
            "Cert=alice",
            "x",
            "By=",
            "Hash=",
            "=",
        ] {
            let read = certificate(&format!("{sent},{own}")).map(|found| found.map(str::to_owned));
            assert!(
                read.is_err() || read == Ok(Some("bob".to_owned())),
                "{sent}: {read:?}"
            );
        }
    }

    #[test]
    fn what_can_be_taken_in_more_than_one_way_is_refused() {
        for text in [
            "",
            "x",
            "Cert=\"a\",",
            "Cert=\"a\";",
            "Cert=\"a\";Cert=\"a\"",
            "Hash=a;Hash=a;Cert=\"a\"",
            "Chain=\"a\";Chain=\"a\";Cert=\"a\"",
            "Cert=\"a",
            "Cert=\"a\"b",
            "Cert=a\"b\"",
            "Subject=CN=x,Cert=\"a\"",
            "Other=1;Cert=\"a\"",
            "URI=x;Cert=\"a\"",
        ] {
            assert!(certificate(text).is_err(), "{text}");
        }
    }

    proptest! {
        /// For any URIs and DNS names in a certificate, and any elements that a client wrote before the proxy's
        /// element.
        #[test]
        fn whatever_stands_in_a_value_it_is_bobs_certificate_or_none(
            sent in "[ -~]{0,24}",
            uris in proptest::collection::vec("(,|;|=|\"|\\\\| |[a-c]|Cert=|Hash=|Chain=|URI=|\"alice\"){0,8}", 0..3),
            names in proptest::collection::vec("(,|;|=|\"|\\\\|[a-c]|Cert=\"alice\"){0,6}", 0..2),
        ) {
            let mut own = "By=spiffe://proxy;Hash=aa;Cert=\"bob\";Chain=\"bob\";Subject=\"CN=bob,Cert=\\\"alice\\\"\"".to_owned();
            for uri in &uris {
                own.push_str(&format!(";URI={uri}"));
            }
            for name in &names {
                own.push_str(&format!(";DNS={name}"));
            }
            for header in [own.clone(), format!("{sent},{own}")] {
                let read = certificate(&header);
                prop_assert!(read.is_err() || read == Ok(Some("bob")), "{}: {:?}", header, read);
            }
        }
    }
}
