//! The pages of TUF 1.0 repositories. The tree of roles and the chain of roots look as those of other repositories do.

use askama::Template;

use super::{
    Badge, Choice, Command, Digest, Gun, Shell, Text, When,
    repository::{DocumentRow, Head, Publish, RoleNode},
};

/// A line of the list.
#[derive(Debug, Clone)]
pub struct NativeRow {
    /// The name.
    pub name: Gun,
    /// Its page.
    pub address: String,
    /// How many targets it lists.
    pub targets: String,
    /// How many delegated roles it has.
    pub delegations: String,
    /// How many files wait for signatures, in words, and where they are shown.
    pub waiting: Option<(String, String)>,
    /// When the first of what people sign ends, and the role.
    pub ends: Option<(When, Text)>,
    /// The state.
    pub state: Badge,
}

/// The repositories that the reader may see.
#[derive(Debug, Template)]
#[template(path = "tuf.html")]
pub struct NativeRepositories {
    /// What surrounds the page.
    pub shell: Shell,
    /// The answer in one sentence.
    pub lead: Text,
    /// How far reading is, while not everything is known.
    pub reading: Option<String>,
    /// What names have to contain.
    pub q: String,
    /// The states to choose from.
    pub states: Vec<Choice>,
    /// What the table shows.
    pub caption: String,
    /// The lines.
    pub rows: Vec<NativeRow>,
    /// The first page, unless this is it.
    pub first: Option<String>,
    /// The next page, and how many lines it has.
    pub next: Option<(String, String)>,
}

/// A line of the targets.
#[derive(Debug, Clone)]
pub struct TargetRow {
    /// The path.
    pub path: Text,
    /// The SHA-256 of the content.
    pub digest: Digest,
    /// The length of the content.
    pub size: String,
    /// The role that lists it.
    pub role: Text,
    /// What its signer added, as JSON.
    pub custom: Option<Text>,
    /// Until when.
    pub until: When,
    /// What is wrong with it.
    pub badge: Option<Badge>,
    /// The role that lists the path before, so that clients do not come to this one.
    pub taken: Option<Text>,
}

/// The targets.
#[derive(Debug, Template)]
#[template(path = "tuf-targets.html")]
pub struct NativeTargets {
    /// What surrounds the page.
    pub shell: Shell,
    /// What stands above.
    pub head: Head,
    /// What paths have to contain.
    pub q: String,
    /// The roles.
    pub roles: Vec<Choice>,
    /// What the table shows.
    pub caption: String,
    /// The lines.
    pub rows: Vec<TargetRow>,
    /// The first page, unless this is it.
    pub first: Option<String>,
    /// The next page, and how many lines it has.
    pub next: Option<(String, String)>,
}

/// A file that waits for signatures.
#[derive(Debug, Clone)]
pub struct WaitingFile {
    /// Its role.
    pub role: Text,
    /// The role for attributes.
    pub plain: String,
    /// Its version.
    pub version: i32,
    /// When it would end.
    pub until: When,
    /// What is still needed, in words.
    pub needs: Vec<Text>,
    /// Who signed it.
    pub signed: Vec<(Digest, Option<Text>)>,
    /// Who may sign it and has not.
    pub missing: Vec<(Digest, Option<Text>)>,
    /// How far it is.
    pub state: Badge,
    /// How to sign it.
    pub command: Option<Command>,
    /// Its bytes.
    pub raw: String,
}

/// Who may sign what, and what waits for it.
#[derive(Debug, Template)]
#[template(path = "tuf-signers.html")]
pub struct NativeSigners {
    /// What surrounds the page.
    pub shell: Shell,
    /// What stands above.
    pub head: Head,
    /// What waits; `None` for a reader who may sign nothing here.
    pub waiting: Option<Vec<WaitingFile>>,
    /// The roles, each before those below it.
    pub roles: Vec<RoleNode>,
}

/// What was done.
#[derive(Debug, Template)]
#[template(path = "tuf-activity.html")]
pub struct NativeActivity {
    /// What surrounds the page.
    pub shell: Shell,
    /// What stands above.
    pub head: Head,
    /// The changes, last one first. `Publish::version` is that of the timestamp, with its address.
    pub changes: Vec<Publish>,
    /// Why there is nothing, if there is nothing.
    pub none: &'static str,
}

/// The files that are current together.
#[derive(Debug, Template)]
#[template(path = "tuf-documents.html")]
pub struct NativeDocuments {
    /// What surrounds the page.
    pub shell: Shell,
    /// What stands above.
    pub head: Head,
    /// The files.
    pub rows: Vec<DocumentRow>,
}

/// Commands for this repository and server.
#[derive(Debug, Template)]
#[template(path = "tuf-commands.html")]
pub struct NativeCommands {
    /// What surrounds the page.
    pub shell: Shell,
    /// What stands above.
    pub head: Head,
    /// Reading and verifying it.
    pub verify: Command,
    /// Fetching a target.
    pub download: Command,
    /// Adding a target, and publishing.
    pub add: Command,
    /// Signing what waits.
    pub sign: Command,
    /// Writing it into a directory.
    pub export: Command,
    /// Where clients of other makers find it.
    pub addresses: Command,
}
