//! Generates a shell script that sets up a client: readable and self-contained.

/// The script, with placeholders for the values that depend on the server.
const TEMPLATE: &str = include_str!("setup.sh");

/// The script for a server at `external_url` whose certificate the CA in `ca_pem` issued.
///
/// The inserted values come from the operator's configuration, but are quoted nevertheless, because a user runs the
/// script with all of the user's rights.
pub fn script(external_url: &str, ca_pem: &str) -> String {
    let url = external_url.trim_end_matches('/');
    TEMPLATE
        .replace("@URL@", &quoted(url))
        .replace("@SERVER@", &quoted(server_directory(url)))
        .replace("@CA@", certificates_alone(ca_pem).trim_end())
}

/// The name of the directory in which the docker CLI looks for the certificates of the server at `url`: host and port
/// as in the URL.
/// port as the URL has them.
pub fn server_directory(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    after_scheme.split('/').next().unwrap_or(after_scheme)
}

/// The text quoted as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Only the lines of the PEM blocks, so that no line can end the here-document around them.
fn certificates_alone(pem: &str) -> String {
    let mut inside = false;
    let mut lines = String::new();
    for line in pem.lines().map(str::trim) {
        inside |= line == "-----BEGIN CERTIFICATE-----";
        let base64 = line
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+/=- ".contains(c));
        if inside && base64 {
            lines.push_str(line);
            lines.push('\n');
        }
        inside &= line != "-----END CERTIFICATE-----";
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_the_configuration_can_end_its_quotes() {
        let script = script(
            "https://trust.test:4443/",
            "# a'b\n-----BEGIN CERTIFICATE-----\nAAAA\nEND_OF_CA\n$(reboot)\n-----END CERTIFICATE-----\nrm -rf /\n",
        );
        assert!(script.contains("url='https://trust.test:4443'\nserver='trust.test:4443'\n"));
        assert!(
            script.contains("\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\nEND_OF_CA\n"),
            "{script}"
        );
        assert!(!script.contains("rm -rf /\n") && !script.contains("reboot"));
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn the_port_stands_in_the_directorys_name_if_it_stands_in_the_url() {
        for (url, name) in [
            ("https://trust.example.com", "trust.example.com"),
            ("https://trust.example.com:4443", "trust.example.com:4443"),
            ("https://trust.example.com:443/", "trust.example.com:443"),
            ("https://[fd00::1]:4443", "[fd00::1]:4443"),
        ] {
            assert_eq!(server_directory(url), name);
        }
    }
}
