//! The pages of one repository.

use askama::Template;

use super::{Badge, Choice, Command, Digest, Gun, Shell, State, Text, When};

/// A tab.
#[derive(Debug, Clone)]
pub struct Tab {
    /// Its name.
    pub name: &'static str,
    /// A number behind it.
    pub count: Option<String>,
    /// Its address.
    pub address: String,
    /// Whether this is it.
    pub is_current: bool,
}

/// What stands above every page of a repository.
#[derive(Debug, Clone)]
pub struct Head {
    /// The name.
    pub gun: Gun,
    /// The list that it is in, and its page.
    pub list: (&'static str, &'static str),
    /// The namespace, and the page of its repositories.
    pub namespace: (Text, String),
    /// The verdict, in a word.
    pub verdict: &'static str,
    /// Why, if it is not good.
    pub reason: Option<Text>,
    /// When it was last published to, and by whom.
    pub published: Option<(When, Option<Text>)>,
    /// What people have to renew first.
    pub ends: Option<(&'static str, When)>,
    /// The tabs.
    pub tabs: Vec<Tab>,
}

/// Somebody's signature on a tag.
#[derive(Debug, Clone)]
pub struct SignedBy {
    /// The name of the signer.
    pub name: Text,
    /// The role.
    pub role: Text,
    /// The key.
    pub key: Option<Digest>,
}

/// A line of the tags.
#[derive(Debug, Clone)]
pub struct TagRow {
    /// The name.
    pub name: Text,
    /// Its page.
    pub address: String,
    /// What it means.
    pub digest: Digest,
    /// The length of the content.
    pub size: String,
    /// Who signed it.
    pub signed_by: Vec<SignedBy>,
    /// Since when it means this, if the history goes back so far.
    pub since: Option<When>,
    /// What it meant before.
    pub moved_from: Option<Digest>,
    /// Until when.
    pub until: Option<When>,
    /// What is wrong with it.
    pub badge: Option<Badge>,
}

/// A tag of the registry that nobody signed.
#[derive(Debug, Clone)]
pub struct UnsignedRow {
    /// The name.
    pub name: Text,
    /// What it is in the registry.
    pub digest: Digest,
}

/// The tags.
#[derive(Debug, Template)]
#[template(path = "repository-tags.html")]
pub struct Tags {
    /// What surrounds the page.
    pub shell: Shell,
    /// What stands above.
    pub head: Head,
    /// What names have to contain.
    pub q: String,
    /// The roles.
    pub roles: Vec<Choice>,
    /// The orders.
    pub orders: Vec<Choice>,
    /// What the table shows.
    pub caption: String,
    /// The lines.
    pub rows: Vec<TagRow>,
    /// The tags that nobody signed.
    pub unsigned: Vec<UnsignedRow>,
    /// The first page, unless this is it.
    pub first: Option<String>,
    /// The next page, and how many lines it has.
    pub next: Option<(String, String)>,
}

/// A step from what a reader trusts to the digest.
#[derive(Debug, Clone)]
pub struct Step {
    /// Whether it holds.
    pub state: State,
    /// The symbol, where it is not that of the state.
    pub symbol: &'static str,
    /// What it is about.
    pub title: Text,
    /// What is checked, and found.
    pub sentence: Text,
    /// Until when it holds.
    pub until: Option<When>,
    /// Names and keys.
    pub keys: Vec<(Digest, Text)>,
}

/// What a tag meant for some time.
#[derive(Debug, Clone)]
pub struct Span {
    /// The digest; `None` while it was taken back.
    pub digest: Option<Digest>,
    /// The role that said so.
    pub role: Text,
    /// From when on, if that is recorded.
    pub from: Option<When>,
    /// Until when; `None` while it lasts.
    pub to: Option<When>,
    /// Who published it.
    pub by: Option<Text>,
}

/// One tag.
#[derive(Debug, Template)]
#[template(path = "repository-tag.html")]
pub struct Tag {
    /// What surrounds the page.
    pub shell: Shell,
    /// The repository.
    pub gun: Gun,
    /// Its page.
    pub gun_address: String,
    /// The namespace, and the page of its repositories.
    pub namespace: (Text, String),
    /// The name.
    pub name: Text,
    /// The answer.
    pub lead: Text,
    /// The verdict.
    pub state: State,
    /// The verdict in words.
    pub verdict: &'static str,
    /// The whole digest, if it is signed.
    pub digest: Option<Text>,
    /// The same for the clipboard.
    pub digest_plain: String,
    /// The length of the content.
    pub size: String,
    /// Other tags of the same digest, with their pages.
    pub also: Vec<(Text, String)>,
    /// Roles that say something else.
    pub disagreeing: Vec<(Text, Digest)>,
    /// The steps.
    pub steps: Vec<Step>,
    /// What it meant before.
    pub history: Vec<Span>,
    /// How to check it without this page.
    pub command: Command,
}

/// A key of a role.
#[derive(Debug, Clone)]
pub struct KeyRow {
    /// Its ID.
    pub id: Digest,
    /// What it is.
    pub kind: Text,
    /// The account behind it.
    pub account: Option<Text>,
    /// What else is known of its holder.
    pub holder: Option<Text>,
    /// Its state.
    pub state: Badge,
    /// When its certificate ends.
    pub until: Option<When>,
}

/// A role in the tree.
#[derive(Debug, Clone)]
pub struct RoleNode {
    /// Its name.
    pub name: Text,
    /// The name for attributes.
    pub plain: String,
    /// How many of the keys have to sign.
    pub threshold: String,
    /// Which tags it may name; empty for roles that name none.
    pub paths: Vec<Text>,
    /// Its version, if anything was signed.
    pub version: Option<i32>,
    /// Until when that holds.
    pub until: Option<When>,
    /// What is wrong with it.
    pub fault: Option<Text>,
    /// Its keys.
    pub keys: Vec<KeyRow>,
    /// Whether roles below it follow.
    pub opens: bool,
    /// How many levels end after it.
    pub closes: usize,
}

/// Who may sign what.
#[derive(Debug, Template)]
#[template(path = "repository-signers.html")]
pub struct Signers {
    /// What surrounds the page.
    pub shell: Shell,
    /// What stands above.
    pub head: Head,
    /// The roles, each before those below it.
    pub roles: Vec<RoleNode>,
}

/// A version of the root.
#[derive(Debug, Clone)]
pub struct RootVersion {
    /// Its number.
    pub version: i32,
    /// Whether it is the current one.
    pub is_current: bool,
    /// Whether it follows from the one before.
    pub state: State,
    /// When it was stored.
    pub stored: Option<When>,
    /// Who published it.
    pub by: Option<Text>,
    /// What it changed, or what is wrong with it.
    pub sentence: Text,
    /// Who signed it.
    pub signed_by: Vec<(Digest, Option<Text>)>,
    /// For each role whose keys changed: its name, the keys that went, the keys that came.
    pub changes: Vec<(&'static str, Vec<Digest>, Vec<Digest>)>,
    /// Until when it holds.
    pub until: Option<When>,
}

/// The chain of roots.
#[derive(Debug, Template)]
#[template(path = "repository-root.html")]
pub struct Root {
    /// What surrounds the page.
    pub shell: Shell,
    /// What stands above.
    pub head: Head,
    /// Whether the chain is whole.
    pub is_whole: bool,
    /// The versions, newest first.
    pub versions: Vec<RootVersion>,
    /// Whether older ones are not shown.
    pub is_cut: bool,
    /// How to pin it.
    pub pin: Option<Command>,
}

/// A publish.
#[derive(Debug, Clone)]
pub struct Publish {
    /// When.
    pub at: When,
    /// Who.
    pub by: Text,
    /// By which certificate.
    pub subject: Option<Text>,
    /// What it did.
    pub did: Text,
    /// From where.
    pub from: Option<Text>,
    /// The version of the timestamp, and the page that compares it with the one before.
    pub version: Option<(i32, String)>,
}

/// A tag that differs between two publishes.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The tag.
    pub name: Text,
    /// `added`, `moved` or `removed`.
    pub kind: &'static str,
    /// The digest before.
    pub before: Option<Digest>,
    /// The digest after.
    pub after: Option<Digest>,
    /// The role.
    pub role: Text,
}

/// What two publishes differ in.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The version of the timestamp before.
    pub from: String,
    /// The version after.
    pub to: String,
    /// What was found, in a sentence.
    pub sentence: String,
    /// The tags.
    pub differences: Vec<Difference>,
}

/// Who published what.
#[derive(Debug, Template)]
#[template(path = "repository-activity.html")]
pub struct Activity {
    /// What surrounds the page.
    pub shell: Shell,
    /// What stands above.
    pub head: Head,
    /// The name for the form.
    pub gun: String,
    /// The publishes, last one first.
    pub publishes: Vec<Publish>,
    /// Older ones.
    pub older: Option<String>,
    /// Newer ones.
    pub newest: Option<String>,
    /// The versions in the form.
    pub from: String,
    /// The same.
    pub to: String,
    /// What they differ in.
    pub comparison: Option<Comparison>,
}

/// A document.
#[derive(Debug, Clone)]
pub struct DocumentRow {
    /// Its role.
    pub role: Text,
    /// The role for attributes.
    pub plain: String,
    /// Its version.
    pub version: i32,
    /// The page that shows it.
    pub address: String,
    /// The bytes.
    pub raw: String,
    /// Its digest.
    pub digest: Digest,
    /// Its length.
    pub bytes: String,
    /// Until when it holds.
    pub until: Option<When>,
}

/// A document laid out for reading.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its role.
    pub role: Text,
    /// Its version.
    pub version: i32,
    /// When it was stored.
    pub stored: Option<When>,
    /// The bytes.
    pub raw: String,
    /// Its text.
    pub text: Text,
    /// Whether that is only its beginning.
    pub is_cut: bool,
}

/// The documents.
#[derive(Debug, Template)]
#[template(path = "repository-documents.html")]
pub struct Documents {
    /// What surrounds the page.
    pub shell: Shell,
    /// What stands above.
    pub head: Head,
    /// The name for the form.
    pub gun: String,
    /// Those that are current together.
    pub rows: Vec<DocumentRow>,
    /// The roles in the form.
    pub roles: Vec<Choice>,
    /// The version in the form.
    pub version: String,
    /// The one that is shown; `None` if there is none of that version.
    pub shown: Option<Shown>,
}

/// Commands for this repository and server.
#[derive(Debug, Template)]
#[template(path = "repository-commands.html")]
pub struct Commands {
    /// What surrounds the page.
    pub shell: Shell,
    /// What stands above.
    pub head: Head,
    /// Setting a machine up.
    pub set_up: Command,
    /// Signing and pulling with docker.
    pub docker: Command,
    /// Verifying with countersign.
    pub verify: Command,
    /// Signing with countersign.
    pub sign: Command,
    /// Taking a tag back.
    pub revoke: Command,
    /// Listing with notary.
    pub notary: Command,
    /// The token of the form that renews what the server signs; for administrators alone.
    pub token: Option<String>,
    /// What came of the last renewal.
    pub renewal: Option<&'static str>,
    /// The repository's name, for the form.
    pub whole_name: String,
}
