//! Reads a policy file. Nothing in it is ignored: what is not understood is an error.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use regex::Regex;
use serde_yaml_ng::Value;

use super::error::PolicyError;
use super::glass::BreakGlass;
use super::node::{Fields, Node};
use super::requirement::{Condition, SignerName};
use super::rule::{Action, Demands, Rule};
use super::signers::{Signer, SignerKey, Signers};
use super::{Defaults, Policy};
use crate::anchor::{Anchor, AnchorError};
use crate::pattern::Pattern;
use crate::server::ServerRule;
use crate::trust_roots::TrustRoots;
use crate::verdict::Mode;

const MODES: [(&str, Mode); 2] = [("enforce", Mode::Enforce), ("audit", Mode::Audit)];

type ReadFile<'a> = &'a dyn Fn(&str) -> Result<Vec<u8>, String>;

type Teams = BTreeMap<String, Vec<SignerName>>;

type Anchors = BTreeMap<String, Anchor>;

#[derive(Clone, Copy)]
enum ActionWord {
    Allow,
    Deny,
    Check,
}

impl Policy {
    /// Reads a policy file. `read` gives the contents of a file that it names, by the name as written: relative to the policy.
    ///
    /// # Errors
    /// For everything that is not understood: unknown keys, wrong kinds, undefined names, empty lists, files that cannot be
    /// read, rules with the same pattern.
    pub fn parse(text: &str, read: &dyn Fn(&str) -> Result<Vec<u8>, String>) -> Result<Self, PolicyError> {
        let value: Value =
            serde_yaml_ng::from_str(text).map_err(|cause| PolicyError::Yaml(cause.to_string()))?;
        let top = Node::top(&value).fields(&[
            "version",
            "defaults",
            "servers",
            "anchors",
            "signers",
            "teams",
            "rules",
            "namespaces",
            "break_glass",
        ])?;
        let version = top.required("version")?;
        if version.count()? != 1 {
            return Err(version.wrong("this program reads version 1 only"));
        }
        let defaults = top
            .get("defaults")?
            .map_or(Ok(Defaults::default()), |node| defaults(&node))?;
        let anchors = top
            .get("anchors")?
            .map_or(Ok(Anchors::new()), |node| anchors(&node, read))?;
        let signers = top
            .get("signers")?
            .map_or(Ok(Signers::new()), |node| signers(&node, read))?;
        let teams = top
            .get("teams")?
            .map_or(Ok(Teams::new()), |node| teams(&node, &signers))?;
        let known = Known {
            defaults,
            anchors: &anchors,
            signers: &signers,
            teams: &teams,
        };
        let rules = top
            .get("rules")?
            .map_or(Ok(Vec::new()), |node| known.rules(&node))?;
        let servers = top
            .get("servers")?
            .map_or(Ok(Vec::new()), |node| servers(&node))?;
        let (exempt, audit) = top
            .get("namespaces")?
            .map_or(Ok(Default::default()), |node| namespaces(&node))?;
        let break_glass = top
            .get("break_glass")?
            .map(|node| break_glass(&node))
            .transpose()?;
        let trust_roots = anchors.values().filter_map(|anchor| match anchor {
            Anchor::TrustRoots(roots) => Some(TrustRoots::clone(roots)),
            _ => None,
        });
        Ok(Self {
            defaults,
            servers,
            trust_roots: trust_roots.collect(),
            signers,
            rules,
            exempt,
            audit,
            break_glass,
            demanded: false,
        })
    }
}

fn defaults(node: &Node<'_>) -> Result<Defaults, PolicyError> {
    let fields = node.fields(&["action", "mode", "keep_tag", "digest", "max_staleness"])?;
    let mut defaults = Defaults::default();
    if let Some(action) = fields.get("action")? {
        defaults.allow = action.word(&[("deny", false), ("allow", true)])?;
    }
    if let Some(mode) = fields.get("mode")? {
        defaults.mode = mode.word(&MODES)?;
    }
    if let Some(keep) = fields.get("keep_tag")? {
        defaults.keep_tag = keep.flag()?;
    }
    if let Some(node) = fields.get("digest")? {
        defaults.ever_signed = digest(&node)?;
    }
    if let Some(node) = fields.get("max_staleness")? {
        defaults.max_staleness = Some(duration(&node)?);
    }
    Ok(defaults)
}

fn anchors(node: &Node<'_>, read: ReadFile<'_>) -> Result<Anchors, PolicyError> {
    let entry = |(name, node): (&str, Node<'_>)| Ok((name.to_owned(), anchor(&node, read)?));
    node.entries()?.into_iter().map(entry).collect()
}

fn anchor(node: &Node<'_>, read: ReadFile<'_>) -> Result<Anchor, PolicyError> {
    let fields = node.fields(&[
        "root_keys",
        "cert_ids",
        "ca_file",
        "common_name",
        "tofu",
        "scope",
        "tuf",
    ])?;
    let kinds = ["root_keys", "cert_ids", "ca_file", "tofu", "tuf"];
    let mut given = Vec::new();
    for kind in kinds {
        if let Some(value) = fields.get(kind)? {
            given.push((kind, value));
        }
    }
    let [(kind, value)] = given.as_slice() else {
        return Err(node.wrong(format!("an anchor has exactly one of {}", kinds.join(", "))));
    };
    for (key, only) in [("common_name", "ca_file"), ("scope", "tofu")] {
        if let Some(found) = fields.get(key)?
            && *kind != only
        {
            return Err(found.wrong(format!("{key} goes with {only} only")));
        }
    }
    let ids = || -> Result<Vec<&str>, PolicyError> { value.filled_list()?.iter().map(Node::text).collect() };
    let refused = |cause: AnchorError| value.wrong(cause.to_string());
    match *kind {
        "root_keys" => Anchor::root_keys(ids()?).map_err(refused),
        "cert_ids" => Anchor::cert_ids(ids()?).map_err(refused),
        "ca_file" => {
            if let Some(name) = fields.get("common_name")? {
                // The only rule there is; written so that nobody has to guess it.
                name.word(&[("gun", ())])?;
            }
            let file = value.text()?;
            let pem = read(file).map_err(|cause| unreadable(value, file, &cause))?;
            Anchor::ca(pem).map_err(|cause| value.wrong(format!("{file}: {cause}")))
        }
        "tuf" => Ok(Anchor::TrustRoots(Box::new(trust_roots(value, read)?))),
        _ => {
            if !value.flag()? {
                return Err(value
                    .wrong("an anchor that trusts nothing on first use has to name keys; or leave it out"));
            }
            let scope = pattern(&fields.required("scope")?)?;
            Ok(Anchor::Tofu { scope })
        }
    }
}

fn trust_roots(node: &Node<'_>, read: ReadFile<'_>) -> Result<TrustRoots, PolicyError> {
    let fields = node.fields(&["repository", "root", "server", "ca", "cert", "key"])?;
    let root = fields.required("root")?;
    let file = root.text()?;
    let server = match fields.get("server")? {
        Some(url) => Some(server(node, &fields, &url, Pattern::everything())?),
        None => {
            for key in ["ca", "cert", "key"] {
                if let Some(found) = fields.get(key)? {
                    return Err(found.wrong(format!("{key} goes with server only")));
                }
            }
            None
        }
    };
    Ok(TrustRoots {
        repository: fields.required("repository")?.text()?.to_owned(),
        root: read(file).map_err(|cause| unreadable(&root, file, &cause))?,
        server,
    })
}

fn signers(node: &Node<'_>, read: ReadFile<'_>) -> Result<Signers, PolicyError> {
    let mut signers = Signers::new();
    let mut owners: BTreeMap<SignerKey, String> = BTreeMap::new();
    for (name, node) in node.entries()? {
        let fields = node.fields(&["keys", "certs"])?;
        let mut signer = Signer::default();
        for kind in ["keys", "certs"] {
            let Some(list) = fields.get(kind)? else { continue };
            for element in list.filled_list()? {
                let key = signer_key(&element, kind, read)?;
                // Two people with one key are one: else one signature would count for two.
                if let Some(other) = owners.insert(key.clone(), name.to_owned()) {
                    return Err(element.wrong(format!(
                        "this key is listed for {other} already; a key is one signer's"
                    )));
                }
                signer.keys.push(key);
            }
        }
        if signer.keys.is_empty() {
            return Err(node.wrong("a signer needs a key or a certificate"));
        }
        signers.insert(name.to_owned(), signer);
    }
    Ok(signers)
}

fn signer_key(node: &Node<'_>, kind: &str, read: ReadFile<'_>) -> Result<SignerKey, PolicyError> {
    let text = node.text()?;
    if let Some(id) = SignerKey::id(text) {
        return Ok(id);
    }
    let file = match text.strip_prefix('@') {
        Some(file) => file,
        None if kind == "certs" => text,
        None => {
            let problem = format!(
                "{text:?} is neither a key ID (64 lower case hexadecimal digits) nor @FILE; write \"@{text}\" for a file"
            );
            return Err(node.wrong(problem));
        }
    };
    let contents = read(file).map_err(|cause| unreadable(node, file, &cause))?;
    SignerKey::of_file(&contents).map_err(|cause| node.wrong(format!("{file}: {cause}")))
}

fn unreadable(node: &Node<'_>, file: &str, cause: &str) -> PolicyError {
    node.wrong(format!("the file {file} cannot be read: {cause}"))
}

fn teams(node: &Node<'_>, signers: &Signers) -> Result<Teams, PolicyError> {
    let entry = |(name, node): (&str, Node<'_>)| Ok((name.to_owned(), signer_names(&node, signers)?));
    node.entries()?.into_iter().map(entry).collect()
}

fn signer_names(node: &Node<'_>, signers: &Signers) -> Result<Vec<SignerName>, PolicyError> {
    let mut names = Vec::new();
    for element in node.filled_list()? {
        let name = element.text()?;
        if !signers.contains_key(name) {
            let defined = signers.keys().map(String::as_str);
            return Err(PolicyError::undefined(element.path(), "signer", name, defined));
        }
        let name = SignerName::Defined(name.to_owned());
        if names.contains(&name) {
            return Err(element.wrong("this signer is listed twice"));
        }
        names.push(name);
    }
    Ok(names)
}

/// What rules refer to.
struct Known<'a> {
    defaults: Defaults,
    anchors: &'a Anchors,
    signers: &'a Signers,
    teams: &'a Teams,
}

impl Known<'_> {
    fn rules(&self, node: &Node<'_>) -> Result<Vec<Rule>, PolicyError> {
        let mut rules: Vec<Rule> = Vec::new();
        for node in node.list()? {
            let rule = self.rule(&node)?;
            if let Some(same) = rules.iter().find(|other| other.pattern.is_same(&rule.pattern)) {
                let problem = format!(
                    "the pattern {} matches the same images as {}",
                    rule.pattern, same.pattern
                );
                return Err(node.wrong(format!("{problem}, so neither wins; keep one of the rules")));
            }
            rules.push(rule);
        }
        Ok(rules)
    }

    fn rule(&self, node: &Node<'_>) -> Result<Rule, PolicyError> {
        let demanding = ["anchor", "require", "digest", "max_staleness"];
        let fields = node.fields(&[
            "match",
            "action",
            "mode",
            "keep_tag",
            "anchor",
            "require",
            "digest",
            "max_staleness",
        ])?;
        let pattern = pattern(&fields.required("match")?)?;
        let words = [
            ("allow", ActionWord::Allow),
            ("deny", ActionWord::Deny),
            ("check", ActionWord::Check),
        ];
        let action = fields
            .get("action")?
            .map_or(Ok(ActionWord::Check), |node| node.word(&words))?;
        let action = match action {
            ActionWord::Check => Action::Check(self.demands(&fields, &pattern)?),
            ActionWord::Allow | ActionWord::Deny => {
                for key in demanding {
                    if let Some(found) = fields.get(key)? {
                        let problem = format!(
                            "{key} says nothing in a rule whose action is not to check; leave one out"
                        );
                        return Err(found.wrong(problem));
                    }
                }
                match action {
                    ActionWord::Allow => Action::Allow,
                    _ => Action::Deny,
                }
            }
        };
        let mode = fields
            .get("mode")?
            .map_or(Ok(self.defaults.mode), |node| node.word(&MODES))?;
        let keep_tag = fields
            .get("keep_tag")?
            .map_or(Ok(self.defaults.keep_tag), |node| node.flag())?;
        Ok(Rule {
            pattern,
            mode,
            keep_tag,
            action,
        })
    }

    fn demands(&self, fields: &Fields<'_>, pattern: &Pattern) -> Result<Demands, PolicyError> {
        let node = fields.required("anchor")?;
        let name = node.text()?;
        let Some(anchor) = self.anchors.get(name) else {
            let defined = self.anchors.keys().map(String::as_str);
            return Err(PolicyError::undefined(node.path(), "anchor", name, defined));
        };
        if let Anchor::Tofu { scope } = anchor
            && !scope.covers(pattern)
        {
            let problem = format!(
                "the anchor {name} trusts on first use within {scope} only, and the rule matches {pattern}; narrow the rule"
            );
            return Err(node.wrong(problem));
        }
        Ok(Demands {
            anchor: anchor.clone(),
            conditions: fields
                .get("require")?
                .map_or(Ok(Vec::new()), |node| self.conditions(&node))?,
            ever_signed: fields
                .get("digest")?
                .map_or(Ok(self.defaults.ever_signed), |node| digest(&node))?,
            max_staleness: match fields.get("max_staleness")? {
                Some(node) => Some(duration(&node)?),
                None => self.defaults.max_staleness,
            },
        })
    }

    fn conditions(&self, node: &Node<'_>) -> Result<Vec<Condition>, PolicyError> {
        let fields = node.fields(&["signers", "at_least", "every_team", "released"])?;
        let mut conditions = Vec::new();
        let at_least = fields.get("at_least")?;
        if let Some(list) = fields.get("signers")? {
            let of = signer_names(&list, self.signers)?;
            let count = at_least.as_ref().map_or(Ok(of.len()), Node::count)?;
            if count > of.len() {
                let problem = format!(
                    "{count} signers can never be reached, because only {} are listed",
                    of.len()
                );
                return Err(list.wrong(problem));
            }
            conditions.push(Condition::Signers { at_least: count, of });
        } else if let Some(at_least) = at_least {
            return Err(at_least.wrong("at_least counts signers, which have to be listed beside it"));
        }
        if let Some(list) = fields.get("every_team")? {
            let mut teams = BTreeMap::new();
            for element in list.filled_list()? {
                let name = element.text()?;
                let Some(members) = self.teams.get(name) else {
                    let defined = self.teams.keys().map(String::as_str);
                    return Err(PolicyError::undefined(element.path(), "team", name, defined));
                };
                teams.insert(name.to_owned(), members.clone());
            }
            conditions.push(Condition::EveryTeam(teams));
        }
        if let Some(released) = fields.get("released")?
            && released.flag()?
        {
            conditions.push(Condition::Released);
        }
        if conditions.is_empty() {
            return Err(node.wrong("this demands nothing; leave require out for what is released"));
        }
        Ok(conditions)
    }
}

fn servers(node: &Node<'_>) -> Result<Vec<ServerRule>, PolicyError> {
    let mut servers: Vec<ServerRule> = Vec::new();
    for node in node.list()? {
        let fields = node.fields(&["match", "url", "ca", "cert", "key"])?;
        let url = fields.required("url")?;
        let server = server(&node, &fields, &url, pattern(&fields.required("match")?)?)?;
        if servers.iter().any(|other| other.pattern.is_same(&server.pattern)) {
            return Err(node.wrong("there is another server for the same images"));
        }
        servers.push(server);
    }
    Ok(servers)
}

/// A server and how it is reached, by its address and the fields beside that.
fn server(
    node: &Node<'_>,
    fields: &Fields<'_>,
    url: &Node<'_>,
    pattern: Pattern,
) -> Result<ServerRule, PolicyError> {
    let text = |key: &str| -> Result<Option<String>, PolicyError> {
        fields
            .get(key)?
            .map(|node| node.text().map(str::to_owned))
            .transpose()
    };
    if !url.text()?.starts_with("https://") {
        return Err(url.wrong("the address has to begin with https://"));
    }
    let server = ServerRule {
        pattern,
        url: url.text()?.to_owned(),
        ca: text("ca")?,
        cert: text("cert")?,
        key: text("key")?,
    };
    if server.cert.is_some() != server.key.is_some() {
        return Err(node.wrong("cert and key go together"));
    }
    Ok(server)
}

type Namespaces = (Vec<String>, Vec<String>);

fn namespaces(node: &Node<'_>) -> Result<Namespaces, PolicyError> {
    let fields = node.fields(&["exempt", "audit"])?;
    let names = |key: &str| -> Result<Vec<String>, PolicyError> {
        let Some(list) = fields.get(key)? else {
            return Ok(Vec::new());
        };
        list.filled_list()?
            .iter()
            .map(|element| {
                let name = element.text()?;
                let valid = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'*';
                if !name.bytes().all(valid) {
                    return Err(element.wrong(format!("{name:?} can be no namespace")));
                }
                if key == "exempt" && name.bytes().all(|b| b == b'*') {
                    return Err(element.wrong("this would exempt every namespace; use mode: audit instead"));
                }
                Ok(name.to_owned())
            })
            .collect()
    };
    Ok((names("exempt")?, names("audit")?))
}

fn break_glass(node: &Node<'_>) -> Result<BreakGlass, PolicyError> {
    let fields = node.fields(&["annotation", "pattern", "users", "groups", "max"])?;
    let names = |key: &str| -> Result<Vec<String>, PolicyError> {
        let Some(list) = fields.get(key)? else {
            return Ok(Vec::new());
        };
        list.filled_list()?
            .iter()
            .map(|element| element.text().map(str::to_owned))
            .collect()
    };
    let (users, groups) = (names("users")?, names("groups")?);
    if users.is_empty() && groups.is_empty() {
        return Err(node.wrong("users or groups have to be named: else anybody could break the glass"));
    }
    let pattern = fields.required("pattern")?;
    let whole = format!("^(?:{})$", pattern.text()?);
    Ok(BreakGlass {
        annotation: fields.required("annotation")?.text()?.to_owned(),
        pattern: Regex::new(&whole)
            .map_err(|cause| pattern.wrong(format!("not a regular expression: {cause}")))?,
        users,
        groups,
        max: duration(&fields.required("max")?)?,
    })
}

fn pattern(node: &Node<'_>) -> Result<Pattern, PolicyError> {
    Pattern::parse(node.text()?).map_err(|cause| node.wrong(cause.to_string()))
}

fn duration(node: &Node<'_>) -> Result<TimeDelta, PolicyError> {
    let text = node.text()?;
    let refused = || node.wrong(format!("{text:?} is not a duration; write 90s, 15m, 24h or 30d"));
    let length = humantime::parse_duration(text).map_err(|_| refused())?;
    TimeDelta::from_std(length).map_err(|_| refused())
}

/// `current`: `None`; `ever-signed(30d)`: the duration.
fn digest(node: &Node<'_>) -> Result<Option<TimeDelta>, PolicyError> {
    let text = node.text()?;
    if text == "current" {
        return Ok(None);
    }
    let length = text
        .strip_prefix("ever-signed(")
        .and_then(|rest| rest.strip_suffix(')'));
    let length = length.and_then(|length| humantime::parse_duration(length).ok());
    let length = length.and_then(|length| TimeDelta::from_std(length).ok());
    let refused = || {
        node.wrong(format!(
            "{text:?} is neither current nor ever-signed(DURATION), such as ever-signed(30d)"
        ))
    };
    length.map(Some).ok_or_else(refused)
}
