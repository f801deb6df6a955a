//! Envoy's `x-forwarded-client-cert`, read so that no value of a certificate can pass for a part of the header.
//! <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#x-forwarded-client-cert>
//!
//! A header is a list of elements (`,`) of parts (`;`), `Key=value`. Envoy quotes `Cert`, `Chain` and `Subject`, but
//! writes `By`, `URI` and `DNS` as they are: a URI may hold `,` and `;`, so whoever gets a certificate with such a URI
//! can write parts and whole elements. What helps is Envoy's order: it writes `By`, `Hash`, `Cert`, `Chain`, `Subject`,
//! and then `URI` and `DNS`. So nothing that vouches may come after a `URI` or `DNS`, neither in its element nor as an
//! element of its own.
//!
//! Of several elements the last counts: it is the one that the proxy nearest to us wrote (`APPEND_FORWARD`), about the
//! connection that it accepted itself. Those before it are what others told that proxy.

/// The length of a SHA-256, in bytes.
const HASH_LENGTH: usize = 32;

/// The parts of the element that counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// The SHA-256 of the certificate; nothing if `Hash` is there but no such hash.
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

/// The element that counts.
///
/// # Errors
/// When the header is malformed, or can be taken in more than one way.
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
                    "there is a comma after a URI or DNS name, which Envoy does not quote, so nobody can tell whether \
                     it begins an element; have the proxy send its own element alone (SANITIZE_SET), without URI and DNS",
                );
            }
            Some(_) => (element, seen) = Default::default(),
        }
        rest = after.get(1..).unwrap_or_default();
    }
}

/// One part: its key, its value, whether that was quoted, and what follows, from the separator on. `free` says that it
/// may belong to a value that is not quoted.
fn part(text: &str, free: bool) -> Result<(&str, &str, bool, &str), &'static str> {
    let end = text.find([',', ';']).unwrap_or(text.len());
    let (key, from) = match text.find('=').filter(|at| *at < end) {
        Some(at) => (text.get(..at).unwrap_or_default(), at + 1),
        None if free => ("", 0),
        None => return Err("a part is no key=value"),
    };
    let value = text.get(from..).unwrap_or_default();
    if let Some(inner) = value.strip_prefix('"') {
        let length = closing_quote(inner).ok_or("a quote is not closed")?;
        let after = inner.get(length + 1..).unwrap_or_default();
        let after = after.trim_start();
        if !(after.is_empty() || after.starts_with([',', ';'])) {
            return Err("something follows a closing quote");
        }
        return Ok((key.trim(), inner.get(..length).unwrap_or_default(), true, after));
    }
    let length = value.find([',', ';']).unwrap_or(value.len());
    let (value, after) = value.split_at(length);
    if value.contains('"') {
        return Err("there is a quote inside of a value");
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
            "a part that vouches comes after a URI or DNS name, which Envoy does not quote and writes last",
        );
    }
    match key.as_str() {
        "cert" if element.certificate.is_some() => return Err("Cert is there twice"),
        "chain" if element.chain.is_some() => return Err("Chain is there twice"),
        "hash" if seen.hash => return Err("Hash is there twice"),
        "subject" if seen.subject => return Err("Subject is there twice"),
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
        // The rest of a URI.
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
        /// Whatever URIs and DNS names a certificate has, and whatever its client wrote in front of the proxy's element.
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
