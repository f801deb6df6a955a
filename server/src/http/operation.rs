//! What requests ask for.

use crate::revocation::Class;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Is this a trust server, and does it know me?
    Ping,
    /// Publish an update of a GUN.
    Publish,
    /// A document by its checksum.
    ReadByChecksum,
    /// A document by its version.
    ReadByVersion,
    /// The current document of a role.
    ReadCurrent,
    /// The server's public key for a role.
    ReadKey,
    /// A new server key for a role.
    RotateKey,
    /// Delete a GUN.
    Delete,
    /// The changes of one GUN, or of all.
    Changefeed,
    /// Is the server well?
    Health,
    /// How the server is, for people.
    HealthInfo,
    /// The CA that issued the server's certificate.
    Ca,
    /// A script that sets a client up.
    SetupScript,
    /// The page for people with a browser.
    Overview,
    /// Who am I?
    BasicInfo,
    /// The repositories that the caller may see.
    Repositories,
    /// One repository, or those of a namespace.
    Repository,
    /// The signed tags of a repository.
    Tags,
    /// The server's version.
    Version,
    /// The server's settings.
    Settings,
    /// What is answered beside the Notary contract.
    OpenApi,
    /// Figures for Prometheus.
    Metrics,
    /// Nothing that exists.
    Unknown,
}

impl Operation {
    /// The label in metrics; the names are those of the Notary server.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ping => "Ping",
            Self::Publish => "UpdateTUF",
            Self::ReadByChecksum => "GetRoleByHash",
            Self::ReadByVersion => "GetRoleByVersion",
            Self::ReadCurrent => "GetRole",
            Self::ReadKey => "GetKey",
            Self::RotateKey => "RotateKey",
            Self::Delete => "DeleteTUF",
            Self::Changefeed => "Changefeed",
            Self::Health => "Health",
            Self::HealthInfo => "HealthInfo",
            Self::Ca => "Ca",
            Self::SetupScript => "SetupScript",
            Self::Overview => "Overview",
            Self::BasicInfo => "BasicInfo",
            Self::Repositories => "Repositories",
            Self::Repository => "Repository",
            Self::Tags => "Tags",
            Self::Version => "Version",
            Self::Settings => "Settings",
            Self::OpenApi => "OpenApi",
            Self::Metrics => "Metrics",
            Self::Unknown => "Unknown",
        }
    }
}

impl Operation {
    /// The name of the action in audit records.
    pub fn action(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Publish => "push",
            Self::ReadByChecksum | Self::ReadByVersion | Self::ReadCurrent => "pull",
            Self::ReadKey => "read-key",
            Self::RotateKey => "rotate-key",
            Self::Delete => "delete",
            Self::Changefeed => "changefeed",
            Self::BasicInfo => "basic-info",
            Self::HealthInfo => "health",
            Self::Overview => "overview",
            Self::Repositories | Self::Repository | Self::Tags => "list",
            Self::Version => "version",
            Self::Settings => "settings",
            Self::Health | Self::Ca | Self::SetupScript | Self::OpenApi | Self::Metrics | Self::Unknown => {
                "unknown"
            }
        }
    }

    /// Whether it is a step of a first publish, and so is refused in the words that its publisher gets to see.
    pub fn publishes(self) -> bool {
        matches!(self, Self::Publish | Self::ReadKey)
    }

    /// Whether it makes something under the name of a repository that need not be there yet.
    pub fn makes(self) -> bool {
        matches!(self, Self::Publish | Self::ReadKey | Self::RotateKey)
    }

    /// Whether it changes anything.
    pub fn class(self) -> Class {
        match self {
            // Reading the key of a new repository makes it.
            Self::Publish | Self::ReadKey | Self::RotateKey | Self::Delete => Class::Write,
            _ => Class::Read,
        }
    }

    /// Whether the answer has the shape of Docker Trusted Registry's interface.
    pub fn is_api(self) -> bool {
        matches!(
            self,
            Self::BasicInfo
                | Self::Repositories
                | Self::Repository
                | Self::Tags
                | Self::Version
                | Self::Settings
        )
    }
}
