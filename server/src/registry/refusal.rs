//! Why a request to the registry is refused or fails, with the codes of the distribution specification.

/// Why a request to the registry is refused or fails.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refusal {
    /// The path names nothing that a registry has.
    #[error("the path names nothing that a registry has, or not as it is written")]
    Name,
    /// The method does nothing with what the path names.
    #[error("a registry has no such operation")]
    Unsupported,
    /// The request came through this gateway before.
    #[error("registry.upstream leads back to this server")]
    Circle,
    /// The request has two lengths.
    #[error("the request has both Content-Length and Transfer-Encoding")]
    TwoLengths,
    /// The number of entries on a page is wrong.
    #[error("n={0}: not a number of entries")]
    PageSize(String),
    /// The registry cannot be reached, or the connection broke.
    #[error("the registry cannot be reached: {0}")]
    Unreachable(String),
    /// The registry did not do in time what it should.
    #[error("the registry did not {0} in time")]
    Slow(&'static str),
    /// The registry does not accept this server's credentials.
    #[error("the registry refuses the credentials of this server (registry.upstream_...)")]
    Login,
    /// The registry answered what cannot be used.
    #[error("the registry's answer cannot be used: {0}")]
    Unusable(String),
    /// The client's body ended before its end.
    #[error("the body broke off: {0}")]
    BrokenOff(String),
    /// The client's body did not go on in time.
    #[error("the body did not go on in time (registry.idle_timeout)")]
    Idle,
    /// An image has to be signed, and is not.
    #[error("{0}")]
    NotSigned(String),
    /// An image that is signed is not deleted.
    #[error("{0}")]
    Protected(String),
}

impl Refusal {
    /// The status and the code of the answer.
    pub fn code(&self) -> (u16, &'static str) {
        match self {
            Self::Name => (400, "NAME_INVALID"),
            Self::Unsupported | Self::Protected(_) => (405, "UNSUPPORTED"),
            Self::PageSize(_) => (400, "PAGINATION_NUMBER_INVALID"),
            Self::TwoLengths => (400, "UNSUPPORTED"),
            Self::BrokenOff(_) => (400, "BLOB_UPLOAD_INVALID"),
            Self::Idle => (408, "BLOB_UPLOAD_INVALID"),
            Self::NotSigned(_) => (403, "DENIED"),
            Self::Circle | Self::Unreachable(_) | Self::Login | Self::Unusable(_) => (502, "UNAVAILABLE"),
            Self::Slow(_) => (504, "UNAVAILABLE"),
        }
    }

    /// The message of the answer. What went wrong behind this server is for its log, not for its clients.
    pub fn message(&self) -> String {
        match self {
            Self::Name => {
                "This path names nothing that a registry has: repositories are written in lower case, as \
                           the distribution specification has it, and nothing is encoded."
                    .to_owned()
            }
            Self::Unsupported => "A registry has no such operation.".to_owned(),
            Self::Circle => "The registry behind this server is this server itself.".to_owned(),
            Self::Unreachable(_) => {
                "The registry behind this server cannot be reached. Try again.".to_owned()
            }
            Self::Slow(_) => "The registry behind this server did not answer in time. Try again.".to_owned(),
            Self::Login => "The registry behind this server does not let this server in.".to_owned(),
            Self::Unusable(_) => {
                "The registry behind this server answered something that cannot be used.".to_owned()
            }
            Self::TwoLengths
            | Self::PageSize(_)
            | Self::BrokenOff(_)
            | Self::Idle
            | Self::NotSigned(_)
            | Self::Protected(_) => self.to_string(),
        }
    }
}
