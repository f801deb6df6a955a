//! Pages for those who get something else than they asked for.

use askama::Template;

use super::{Command, Shell, Text, When};

/// The certificate that a browser presented, where it was refused.
#[derive(Debug, Clone)]
pub struct Presented {
    /// Its subject.
    pub subject: Text,
    /// Who issued it.
    pub issuer: Text,
    /// From when it holds.
    pub from: When,
    /// Until when it holds.
    pub until: When,
}

/// What the server accepts as a certificate.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The subjects of the CAs that may issue it.
    pub issuers: Vec<Text>,
    /// The server's clock.
    pub now: When,
    /// The host and port that the connection has to end at.
    pub host: Text,
}

/// For readers without an identity: how to get in.
#[derive(Debug, Template)]
#[template(path = "no-certificate.html")]
pub struct NoCertificate {
    /// What surrounds the page.
    pub shell: Shell,
    /// What is missing.
    pub title: &'static str,
    /// What this means for the reader.
    pub lead: Text,
    /// The reason in the words of the server.
    pub reason: Text,
    /// What the browser presented, if anything.
    pub presented: Option<Presented>,
    /// What would be accepted.
    pub accepted: Accepted,
}

impl NoCertificate {
    fn make_file(&self) -> Command {
        Command::new("openssl pkcs12 -export -out me.p12 -inkey key.pem -in cert.pem")
    }
}

/// For readers who may not do what they asked for.
#[derive(Debug, Template)]
#[template(path = "denied.html")]
pub struct Denied {
    /// What surrounds the page.
    pub shell: Shell,
    /// Who may not do what, as one sentence.
    pub sentence: Text,
    /// The rule that denies it; `None` if no rule allows it.
    pub rule: Option<Text>,
    /// The name and groups of the reader.
    pub name: Text,
    /// The reader's groups.
    pub groups: Vec<Text>,
    /// The rule that gave the name.
    pub identity_rule: Option<Text>,
    /// The subject of the certificate, and until when it holds.
    pub certificate: Option<(Text, When)>,
    /// The right that is missing, as policies call it.
    pub right: Text,
    /// The repository that was asked for.
    pub gun: Option<Text>,
    /// The number of the request, by which it is found in the audit.
    pub request: Text,
    /// When it was made.
    pub at: When,
}

/// For everything else that was not answered.
#[derive(Debug, Template)]
#[template(path = "failed.html")]
pub struct Failed {
    /// What surrounds the page.
    pub shell: Shell,
    /// The status of the answer.
    pub status: u16,
    /// What it means.
    pub title: &'static str,
    /// The sentence that programs get.
    pub sentence: Text,
    /// The number of the request.
    pub request: Text,
}
