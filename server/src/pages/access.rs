//! Who may do what: the reader's own rights, and for administrators everything that decides.

use askama::Template;

use super::{Badge, Command, Digest, Shell, Text, When, assets};

/// What is asked about rights. The values stand in a form, so they are plain.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// The repository; empty for all.
    pub gun: String,
    /// The action.
    pub action: String,
    /// The name of whom it is about; the reader's if empty.
    pub name: String,
    /// Their groups, separated by commas; empty for those of the account.
    pub groups: String,
    /// Whether the reader may ask about others.
    pub of_others: bool,
}

/// What a rule says to a question.
#[derive(Debug, Clone)]
pub struct RuleSays {
    /// Its name.
    pub rule: Text,
    /// Whether it allows or denies.
    pub effect: &'static str,
    /// Whether it applies, and why not.
    pub says: Text,
    /// Whether it decides.
    pub decides: bool,
}

/// The answer to a question.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Whether it is allowed.
    pub allowed: bool,
    /// The verdict.
    pub sentence: Text,
    /// What else is to be known about it.
    pub remark: Option<Text>,
    /// What every rule says; for administrators alone.
    pub rules: Vec<RuleSays>,
}

/// The reader's certificate.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// Its subject.
    pub subject: Text,
    /// Who issued it.
    pub issuer: Text,
    /// Its number.
    pub serial: Text,
    /// When it ends.
    pub until: When,
    /// What is known about its revocation.
    pub revocation: Text,
    /// The SHA-256 of its key.
    pub key: Digest,
}

/// A certificate for the reader, by a client CA of the server's own.
#[derive(Debug, Clone)]
pub struct Renewal {
    /// The token of its form.
    pub token: String,
    /// The request that was pasted.
    pub request: String,
    /// Why none was issued.
    pub refused: Option<Text>,
    /// The certificate in PEM, and when it ends.
    pub issued: Option<(String, Option<When>)>,
}

/// Makes a key in the browser, and has a certificate issued for it.
#[derive(Debug, Template)]
#[template(path = "certificate.html")]
pub struct NewCertificate {
    /// What surrounds the page.
    pub shell: Shell,
    /// To whom it is issued.
    pub name: Text,
}

impl NewCertificate {
    fn script(&self) -> &'static str {
        &assets::certificate_script().address
    }
}

/// An account in the list.
#[derive(Debug, Clone)]
pub struct AccountRow {
    /// Its name.
    pub name: Text,
    /// The address of its page.
    pub address: String,
    /// Whether it is the reader's.
    pub is_me: bool,
    /// Its groups.
    pub groups: Text,
    /// Its keys.
    pub keys: Vec<Digest>,
    /// Its state.
    pub state: Badge,
}

/// An entry of the deny list.
#[derive(Debug, Clone)]
pub struct DenialRow {
    /// What is denied.
    pub subject: Text,
    /// Why.
    pub reason: Text,
    /// Since when.
    pub since: When,
    /// The entry, for the form that undoes it.
    pub id: String,
    /// What is denied, for those who do not see where the button stands.
    pub plain: String,
}

/// A rule of the policy, or an identity rule, as written.
#[derive(Debug, Clone)]
pub struct WrittenRule {
    /// Its name.
    pub name: Text,
    /// What it does, or whom it is for.
    pub what: Text,
    /// Its values, each with its key.
    pub values: Vec<(&'static str, Text)>,
}

/// A listener.
#[derive(Debug, Clone)]
pub struct ListenerRow {
    /// Its name.
    pub name: Text,
    /// Its addresses.
    pub addresses: Text,
    /// What it asks of clients.
    pub asks: &'static str,
    /// What it serves.
    pub serves: &'static str,
}

/// A CA that may issue client certificates.
#[derive(Debug, Clone)]
pub struct CaRow {
    /// Its name.
    pub subject: Text,
    /// When it ends.
    pub until: Option<When>,
    /// Its state.
    pub state: Badge,
}

/// A revocation list.
#[derive(Debug, Clone)]
pub struct ListRow {
    /// The CA that it is of.
    pub issuer: Text,
    /// Where it is from.
    pub origin: Text,
    /// When it was made.
    pub made: When,
    /// When it ends.
    pub ends: When,
    /// How many certificates it withdraws.
    pub revoked: usize,
    /// Its state.
    pub state: Badge,
}

/// Whose certificate was pasted.
#[derive(Debug, Clone)]
pub struct Whose {
    /// The answer as one sentence.
    pub sentence: Text,
    /// Whether it gives a name.
    pub is_good: bool,
    /// What it says.
    pub facts: Vec<(&'static str, Text)>,
    /// What every identity rule says: its name, the answer and whether it decides.
    pub rules: Vec<(Text, Text)>,
    /// Addresses of pages that deny it, and what they deny.
    pub denials: Vec<(&'static str, String)>,
}

/// What only administrators see.
#[derive(Debug, Clone)]
pub struct Administration {
    /// The token for forms.
    pub token: String,
    /// Accounts.
    pub accounts: Vec<AccountRow>,
    /// Where the next ones are.
    pub more_accounts: Option<String>,
    /// The deny list.
    pub denials: Vec<DenialRow>,
    /// Where the next entries are.
    pub more_denials: Option<String>,
    /// What was pasted.
    pub pem: String,
    /// Whose it is.
    pub whose: Option<Whose>,
    /// The policy.
    pub policy: Vec<WrittenRule>,
    /// Whether the policy is on trial.
    pub on_trial: bool,
    /// The identity rules; empty for the built-in ones.
    pub identity: Vec<WrittenRule>,
    /// The listeners.
    pub listeners: Vec<ListenerRow>,
    /// The client CAs.
    pub cas: Vec<CaRow>,
    /// Their revocation lists.
    pub lists: Vec<ListRow>,
    /// How many configurations were taken up.
    pub generation: u64,
    /// When the last reload was, its outcome, and why it was refused.
    pub reload: Option<(When, Badge, Option<Text>)>,
    /// What an operator should know.
    pub warnings: Vec<Text>,
}

/// Who may do what.
#[derive(Debug, Template)]
#[template(path = "access.html")]
pub struct Access {
    /// What surrounds the page.
    pub shell: Shell,
    /// Who the reader is, in one sentence.
    pub lead: Text,
    /// What is asked about rights.
    pub question: Question,
    /// The answer, once something was asked.
    pub answer: Option<Answer>,
    /// The reader's certificate.
    pub certificate: Option<Certificate>,
    /// The form for another certificate, where the server issues one to the reader.
    pub renewal: Option<Renewal>,
    /// For administrators.
    pub administration: Option<Administration>,
}

impl Access {
    fn make_request(&self) -> Command {
        Command::new(
            "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -subj / -keyout key.pem -out request.pem",
        )
    }
}

/// A key of an account.
#[derive(Debug, Clone)]
pub struct KeyRow {
    /// The SHA-256 of it.
    pub id: Digest,
    /// Its label.
    pub label: Text,
    /// What is noted about it.
    pub note: Text,
    /// The SHA-256, for forms.
    pub key: String,
    /// Label and note, for the form that changes them.
    pub noted: [String; 2],
    /// Since when it is registered.
    pub since: When,
    /// The address of the page that removes it.
    pub remove: String,
    /// Its label, for those who do not see where the link stands.
    pub plain: String,
}

/// An account that is there.
#[derive(Debug, Clone)]
pub struct Existing {
    /// Its name as text.
    pub name: Text,
    /// Its state.
    pub state: Badge,
    /// Since when, and why, it is disabled.
    pub disabled: Option<(When, Text)>,
    /// Its keys.
    pub keys: Vec<KeyRow>,
    /// The address of the page that disables it.
    pub disable: String,
    /// The address of the page that removes it.
    pub remove: String,
}

/// One account, or a form for a new one.
#[derive(Debug, Template)]
#[template(path = "account.html")]
pub struct Account {
    /// What surrounds the page.
    pub shell: Shell,
    /// The token for forms.
    pub token: String,
    /// The account, if it is there.
    pub existing: Option<Existing>,
    /// Its name, for forms.
    pub name: String,
    /// Its full name.
    pub full_name: String,
    /// Its groups, separated by commas.
    pub groups: String,
    /// Whether it is in the group `admins`.
    pub is_admin: bool,
}

/// Asks whether something is meant.
#[derive(Debug, Template)]
#[template(path = "confirm.html")]
pub struct Confirm {
    /// What surrounds the page.
    pub shell: Shell,
    /// The token for the form.
    pub token: String,
    /// The question.
    pub title: Text,
    /// What follows from it.
    pub lead: Text,
    /// Why it was not done at once, if it was asked for already.
    pub refused: Option<Text>,
    /// What it does not do.
    pub note: Option<&'static str>,
    /// Whether it locks out the reader, and what is left then.
    pub locks_out: Option<Text>,
    /// The fields of the form, as they were sent.
    pub fields: Vec<(String, String)>,
    /// What has to be typed, if anything.
    pub typed: Option<Text>,
    /// Whether a reason is asked for.
    pub asks_reason: bool,
    /// The words on the button.
    pub button: String,
    /// Where "leave it" leads.
    pub back: String,
}
