//! The operations that requests ask for.

use crate::revocation::Class;

/// The operation that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "native"), allow(dead_code, reason = "no route has them"))]
pub enum Operation {
    /// Check that this is a trust server and that the client may use it.
    Ping,
    /// Publish an update of a GUN.
    Publish,
    /// Read a document by its checksum.
    ReadByChecksum,
    /// Read a document by its version.
    ReadByVersion,
    /// Read the current document of a role.
    ReadCurrent,
    /// Read all documents in one piece.
    ReadBundle,
    /// Read the server's public key for a role.
    ReadKey,
    /// Make a new server key for a role.
    RotateKey,
    /// Delete a GUN.
    Delete,
    /// Read the changes of one GUN, or of all.
    Changefeed,
    /// Follow the events of one GUN, or of all.
    Events,
    /// Check the server's health, for Notary's clients.
    Health,
    /// Read the server's health in detail.
    HealthInfo,
    /// Read the CA that issued the server's certificate.
    Ca,
    /// Read the script that sets up a client.
    SetupScript,
    /// Show the overview page in a browser.
    Overview,
    /// Show the repositories in a browser.
    RepositoriesPage,
    /// Show what ends in a browser.
    ExpiryPage,
    /// Show one repository in a browser.
    RepositoryPage,
    /// Show the TUF 1.0 repositories in a browser.
    TufListPage,
    /// Show one TUF 1.0 repository in a browser.
    TufPage,
    /// Read the style sheet or the script of the pages.
    Asset,
    /// Show who has access, and by which rules.
    AccessPage,
    /// Say whose certificate it is that somebody pasted.
    Whose,
    /// Ask for a certificate for oneself by a form.
    OwnCertificate,
    /// Show a form for a change to who has access.
    AccessForm,
    /// Change who has access, by a form.
    ChangeAccess,
    /// Show what was done.
    AuditPage,
    /// Download what was done.
    AuditLines,
    /// Read who the caller is.
    BasicInfo,
    /// List the repositories that the caller may see.
    Repositories,
    /// Read one repository, or list those of a namespace.
    Repository,
    /// List the signed tags of a repository.
    Tags,
    /// Read the server's version.
    Version,
    /// Read the server's settings.
    Settings,
    /// Read the description of the interface beyond the Notary contract.
    OpenApi,
    /// Get a token for a registry.
    Token,
    /// Read the public keys that verify tokens.
    TokenKeys,
    /// Read accounts and their keys.
    ReadAccounts,
    /// Change accounts or their keys.
    ChangeAccounts,
    /// Read the deny list.
    ReadDenials,
    /// Change the deny list.
    ChangeDenials,
    /// Have a certificate issued for oneself.
    IssueBundle,
    /// Have it recorded that an image is attested to programs that read other signatures.
    Attest,
    /// Have changed files taken up.
    Reload,
    /// Have what the server signs renewed.
    RenewNow,
    /// Read the metrics for Prometheus.
    Metrics,
    /// Read a manifest of an image.
    ImageManifest,
    /// Read anything else of a repository of images.
    ImageRead,
    /// Push the manifest of an image.
    ImagePush,
    /// Upload a blob of an image.
    ImageUpload,
    /// Delete a manifest, a tag or a blob.
    ImageDelete,
    /// List the repositories of the registry.
    ImageCatalog,
    /// Something that no registry has.
    ImageUnknown,
    /// Something that no registry does.
    ImageUnsupported,
    /// List the TUF 1.0 repositories that the caller may read.
    NativeList,
    /// Read metadata or a target file of a TUF 1.0 repository.
    NativeRead,
    /// Publish to a TUF 1.0 repository.
    NativePublish,
    /// Delete a TUF 1.0 repository.
    NativeDelete,
    /// Read the server's keys for a TUF 1.0 repository.
    NativeReadKey,
    /// Make a new server key for a TUF 1.0 repository.
    NativeRotateKey,
    /// Read what waits for signatures in a TUF 1.0 repository.
    NativeWaiting,
    /// Add signatures to what waits in a TUF 1.0 repository, or withdraw it.
    NativeSign,
    /// Store a target file of a TUF 1.0 repository.
    NativeStore,
    /// No route matches.
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
            Self::ReadBundle => "GetBundle",
            Self::ReadKey => "GetKey",
            Self::RotateKey => "RotateKey",
            Self::Delete => "DeleteTUF",
            Self::Changefeed => "Changefeed",
            Self::Events => "Events",
            Self::Health => "Health",
            Self::HealthInfo => "HealthInfo",
            Self::Ca => "Ca",
            Self::SetupScript => "SetupScript",
            Self::Overview => "Overview",
            Self::RepositoriesPage => "RepositoriesPage",
            Self::RepositoryPage => "RepositoryPage",
            Self::ExpiryPage => "ExpiryPage",
            Self::TufListPage => "TufListPage",
            Self::TufPage => "TufPage",
            Self::Asset => "Asset",
            Self::AccessPage => "AccessPage",
            Self::Whose => "Whose",
            Self::OwnCertificate => "OwnCertificate",
            Self::AccessForm => "AccessForm",
            Self::ChangeAccess => "ChangeAccess",
            Self::AuditPage => "AuditPage",
            Self::AuditLines => "AuditLines",
            Self::BasicInfo => "BasicInfo",
            Self::Repositories => "Repositories",
            Self::Repository => "Repository",
            Self::Tags => "Tags",
            Self::Version => "Version",
            Self::Settings => "Settings",
            Self::OpenApi => "OpenApi",
            Self::Token => "Token",
            Self::TokenKeys => "TokenKeys",
            Self::ReadAccounts => "Accounts",
            Self::ChangeAccounts => "ChangeAccounts",
            Self::ReadDenials => "Denials",
            Self::ChangeDenials => "ChangeDenials",
            Self::IssueBundle => "IssueBundle",
            Self::Attest => "Attest",
            Self::Reload => "Reload",
            Self::RenewNow => "RenewNow",
            Self::Metrics => "Metrics",
            Self::ImageManifest => "RegistryManifest",
            Self::ImageRead => "RegistryRead",
            Self::ImagePush => "RegistryPush",
            Self::ImageUpload => "RegistryUpload",
            Self::ImageDelete => "RegistryDelete",
            Self::ImageCatalog => "RegistryCatalog",
            Self::ImageUnknown | Self::ImageUnsupported => "RegistryUnknown",
            Self::NativeList => "TufList",
            Self::NativeRead => "TufRead",
            Self::NativePublish => "TufPublish",
            Self::NativeDelete => "TufDelete",
            Self::NativeReadKey => "TufGetKey",
            Self::NativeRotateKey => "TufRotateKey",
            Self::NativeWaiting => "TufWaiting",
            Self::NativeSign => "TufSign",
            Self::NativeStore => "TufStore",
            Self::Unknown => "Unknown",
        }
    }
}

impl Operation {
    /// The name of the action in audit records.
    pub fn action(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Publish
            | Self::ImagePush
            | Self::ImageUpload
            | Self::NativePublish
            | Self::NativeWaiting
            | Self::NativeSign
            | Self::NativeStore => "push",
            Self::ReadByChecksum
            | Self::ReadByVersion
            | Self::ReadCurrent
            | Self::ReadBundle
            | Self::RepositoryPage
            | Self::TufPage
            | Self::ImageManifest
            | Self::ImageRead
            | Self::NativeRead => "pull",
            Self::ReadKey | Self::NativeReadKey => "read-key",
            Self::RotateKey | Self::NativeRotateKey => "rotate-key",
            Self::Delete | Self::ImageDelete | Self::NativeDelete => "delete",
            Self::ImageCatalog => "catalog",
            Self::Changefeed | Self::Events => "changefeed",
            Self::AccessPage | Self::Whose | Self::AccessForm => "access",
            Self::ChangeAccess => "change-access",
            Self::AuditPage | Self::AuditLines => "audit",
            Self::BasicInfo => "basic-info",
            Self::HealthInfo => "health",
            Self::Overview => "overview",
            Self::Repositories
            | Self::Repository
            | Self::Tags
            | Self::RepositoriesPage
            | Self::ExpiryPage
            | Self::TufListPage
            | Self::NativeList => "list",
            Self::Version => "version",
            Self::Settings => "settings",
            Self::Token => "token",
            Self::ReadAccounts => "read-accounts",
            Self::ChangeAccounts => "change-accounts",
            Self::ReadDenials => "read-denials",
            Self::ChangeDenials => "change-denials",
            Self::IssueBundle | Self::OwnCertificate => "bundle",
            Self::Attest => "attest",
            Self::Reload => "reload",
            Self::RenewNow => "renew",
            Self::Health
            | Self::Ca
            | Self::SetupScript
            | Self::Asset
            | Self::OpenApi
            | Self::TokenKeys
            | Self::Metrics
            | Self::ImageUnknown
            | Self::ImageUnsupported
            | Self::Unknown => "unknown",
        }
    }

    /// Whether it is a step of a first publish. Its refusals then use the form that the publisher's client shows.
    pub fn publishes(self) -> bool {
        matches!(self, Self::Publish | Self::ReadKey)
    }

    /// Whether it is about the documents of one repository, the state of which is then confirmed together with the
    /// caller's.
    pub fn uses_documents(self) -> bool {
        matches!(
            self,
            Self::ReadByChecksum
                | Self::ReadByVersion
                | Self::ReadCurrent
                | Self::ReadBundle
                | Self::Publish
                | Self::ImageManifest
                | Self::ImageDelete
        )
    }

    /// Whether it creates something in a repository that may not exist yet.
    pub fn makes(self) -> bool {
        matches!(
            self,
            Self::Publish
                | Self::ReadKey
                | Self::RotateKey
                | Self::NativePublish
                | Self::NativeReadKey
                | Self::NativeRotateKey
                | Self::NativeSign
                | Self::NativeStore
        )
    }

    /// Whether it is about TUF 1.0 repositories, and so exists only where those are hosted.
    pub fn is_native(self) -> bool {
        matches!(
            self,
            Self::NativeList
                | Self::TufListPage
                | Self::TufPage
                | Self::NativeRead
                | Self::NativePublish
                | Self::NativeDelete
                | Self::NativeReadKey
                | Self::NativeRotateKey
                | Self::NativeWaiting
                | Self::NativeSign
                | Self::NativeStore
        )
    }

    /// Whether it reads or writes.
    pub fn class(self) -> Class {
        match self {
            // Reading the key of a new repository creates the key. A token may grant writing.
            Self::Publish
            | Self::ReadKey
            | Self::RotateKey
            | Self::Delete
            | Self::ImagePush
            | Self::ImageUpload
            | Self::ImageDelete
            | Self::Token
            | Self::ChangeAccounts
            | Self::ChangeDenials
            | Self::IssueBundle
            | Self::Attest
            | Self::Reload
            | Self::RenewNow
            | Self::Whose
            | Self::OwnCertificate
            | Self::NativePublish
            | Self::NativeDelete
            | Self::NativeReadKey
            | Self::NativeRotateKey
            | Self::NativeSign
            | Self::NativeStore
            | Self::ChangeAccess => Class::Write,
            _ => Class::Read,
        }
    }

    /// Whether a browser gets a page for it, also where it is refused.
    pub fn is_page(self) -> bool {
        matches!(
            self,
            Self::Overview
                | Self::RepositoriesPage
                | Self::RepositoryPage
                | Self::ExpiryPage
                | Self::TufListPage
                | Self::TufPage
                | Self::AccessPage
                | Self::Whose
                | Self::OwnCertificate
                | Self::AccessForm
                | Self::ChangeAccess
                | Self::AuditPage
        )
    }

    /// Whether it exists only where there are pages.
    pub fn is_of_pages(self) -> bool {
        self.is_page() || matches!(self, Self::Asset | Self::AuditLines)
    }

    /// Whether the query names a repository, which may have any name.
    pub fn names_gun_in_query(self) -> bool {
        matches!(self, Self::RepositoryPage | Self::TufPage)
    }

    /// Whether a listener that is for health and metrics alone answers it.
    pub fn is_of_health(self) -> bool {
        matches!(self, Self::Health | Self::HealthInfo | Self::Metrics)
    }

    /// Whether it exists only where this server issues tokens.
    pub fn is_of_token_service(self) -> bool {
        matches!(self, Self::Token | Self::TokenKeys)
    }

    /// Whether the response has the shape of Docker Trusted Registry's interface.
    pub fn is_api(self) -> bool {
        matches!(
            self,
            Self::BasicInfo
                | Self::Repositories
                | Self::Repository
                | Self::Tags
                | Self::Version
                | Self::Settings
                | Self::ReadAccounts
                | Self::ChangeAccounts
                | Self::ReadDenials
                | Self::ChangeDenials
                | Self::IssueBundle
                | Self::Attest
                | Self::Reload
                | Self::RenewNow
        )
    }
}
