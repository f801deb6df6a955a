//! What ends, who acts, and what is to be run.

use chrono::{DateTime, TimeDelta, Utc};

use super::reader::{Reader, SOON};
use crate::{
    confirmed::catalogue::{Lines, Standing, Summary},
    pages::{
        Badge, Command, Gun, State, Text, When, address, day,
        ends::{Actor, End, Mark},
        quoted, relative, visible,
    },
};

/// What kind of thing ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(not(feature = "native"), allow(dead_code, reason = "nothing of TUF 1.0 ends"))]
pub enum Kind {
    Own,
    Server,
    ClientCa,
    Crl,
    Root,
    Certificates,
    Targets,
    Delegation,
    Snapshot,
    Timestamp,
    TufRoot,
    TufTargets,
    TufDelegation,
}

/// A file of a TUF 1.0 repository that people sign.
#[derive(Debug, Clone)]
pub struct TufEnd {
    /// The repository.
    pub name: String,
    /// The role.
    pub role: String,
    /// What kind of role.
    pub kind: Kind,
    /// When the file ends.
    pub at: DateTime<Utc>,
    /// The keys that may sign the next one: key ID, and the SHA-256 of the public key.
    pub keys: Vec<(String, Option<String>)>,
}

impl Kind {
    /// The filter of the page that it belongs to.
    pub fn group(self) -> &'static str {
        match self {
            Self::Own | Self::Server | Self::ClientCa => "certificates",
            Self::Crl => "crls",
            _ => "metadata",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Own => "Your certificate",
            Self::Server => "TLS certificate of this server",
            Self::ClientCa => "A CA of clients",
            Self::Crl => "A revocation list",
            Self::Root => "Root",
            Self::Certificates => "Certificate of the root key",
            Self::Targets => "Targets",
            Self::Delegation => "A delegation",
            Self::Snapshot => "Snapshot",
            Self::Timestamp => "Timestamp",
            Self::TufRoot => "TUF root",
            Self::TufTargets => "TUF targets",
            Self::TufDelegation => "A TUF delegation",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Own => {
                "After that this server answers you as it answers a stranger. Ask whoever issued it for a new one, and \
                 import that into your browser."
            }
            Self::Server => {
                "An operator puts the new pair in the place of the old one; the server reads it at a reload."
            }
            Self::ClientCa => {
                "An operator adds the next one beside it, before the certificates that it issued end with it."
            }
            Self::Crl => {
                "The CA publishes the next list; the server fetches it, or an operator puts it in its place."
            }
            Self::Root | Self::TufRoot => {
                "It is signed once more with a new date. Nothing else in it has to change."
            }
            Self::Certificates => "The root key gets a new certificate, and the root is signed with it.",
            Self::Targets | Self::TufTargets => {
                "Nothing in it has to change: it is signed once more with a new date."
            }
            Self::Delegation | Self::TufDelegation => {
                "Nothing in it has to change: its signer signs it once more with a new date."
            }
            Self::Snapshot => {
                "The server renews it if it holds the snapshot key; otherwise whoever holds that publishes once more."
            }
            Self::Timestamp => "The server renews it by itself.",
        }
    }
}

/// Something that ends, before it is described.
#[derive(Clone, Copy)]
pub struct Ending<'a> {
    pub at: DateTime<Utc>,
    pub kind: Kind,
    /// Whether the server renews it without a person.
    pub is_automatic: bool,
    pub of: Option<(&'a str, &'a Summary)>,
    /// What it is in a TUF 1.0 repository.
    pub tuf: Option<&'a TufEnd>,
}

impl<'a> Ending<'a> {
    /// The name of the repository.
    pub fn repository(&self) -> Option<&'a str> {
        self.of
            .map(|(gun, _)| gun)
            .or_else(|| self.tuf.map(|end| &*end.name))
    }
}

/// Everything that ends by a moment, for what the reader may see, soonest first. What the server renews by itself is among it if
/// `automatic` is: of a hundred thousand repositories, most lines are of that kind, and few pages show them.
pub fn endings<'a>(
    reader: &'a Reader<'_>,
    seen: &[(&'a str, &'a Summary)],
    by: DateTime<Utc>,
    automatic: bool,
) -> Vec<Ending<'a>> {
    let late = reader.late();
    let own = reader
        .principal
        .certificate()
        .map(|verified| verified.certificate.not_after());
    let own = own.map(|at| (Kind::Own, at));
    let of_server = reader
        .exchange
        .generation
        .expiries()
        .into_iter()
        .map(|(kind, at)| {
            let kind = match kind {
                "server" => Kind::Server,
                "crl" => Kind::Crl,
                _ => Kind::ClientCa,
            };
            (kind, at)
        });
    let others = own.into_iter().chain(of_server).filter(|(_, at)| *at <= by);
    let mut found: Vec<Ending<'a>> = others
        .map(|(kind, at)| Ending {
            at,
            kind,
            is_automatic: false,
            of: None,
            tuf: None,
        })
        .collect();
    let of_tuf = reader.tuf_ends.iter().filter(|end| end.at <= by);
    found.extend(of_tuf.map(|end| Ending {
        at: end.at,
        kind: end.kind,
        is_automatic: false,
        of: None,
        tuf: Some(end),
    }));
    for (gun, summary) in seen {
        let ends = &summary.ends;
        let root = if ends.by_certificates {
            Kind::Certificates
        } else {
            Kind::Root
        };
        let all = [
            (root, ends.root),
            (Kind::Targets, ends.targets),
            (Kind::Delegation, ends.delegation),
            (Kind::Snapshot, ends.snapshot),
            (Kind::Timestamp, ends.timestamp),
        ];
        let of = Some((*gun, *summary));
        found.extend(all.into_iter().filter_map(|(kind, at)| {
            let at = at.filter(|at| *at <= by)?;
            let is_automatic = kind == Kind::Timestamp || kind == Kind::Snapshot && at > late;
            (automatic || !is_automatic).then_some(Ending {
                at,
                kind,
                is_automatic,
                of,
                tuf: None,
            })
        }));
    }
    // They are in the order of names already, which this keeps.
    found.sort_by_key(|ending| (ending.at, ending.kind));
    found
}

/// Who can sign what ends in a TUF 1.0 repository.
fn who_signs(reader: &Reader<'_>, end: &TufEnd) -> (Actor, String) {
    let name = |(id, spki): &(String, Option<String>)| {
        let account = spki.as_deref().and_then(|spki| reader.account_of(spki));
        account.unwrap_or_else(|| format!("the holder of key {}", id.chars().take(8).collect::<String>()))
    };
    let mut names: Vec<String> = end.keys.iter().map(name).collect();
    names.sort();
    names.dedup();
    if names.iter().any(|name| name == reader.principal.name()) {
        return (Actor::You, "you".to_owned());
    }
    match names.is_empty() {
        true => (Actor::Other, "its owner".to_owned()),
        false => (Actor::Other, names.join(" or ")),
    }
}

/// Who acts on it.
pub fn who(reader: &Reader<'_>, lines: &Lines, ending: &Ending<'_>) -> (Actor, String) {
    if let Some(end) = ending.tuf {
        return who_signs(reader, end);
    }
    let of_role = |matches: &dyn Fn(&str) -> bool, otherwise: &str| {
        let Some((_, summary)) = ending.of else {
            return (Actor::Other, otherwise.to_owned());
        };
        let signers = lines.signers(summary);
        let mut names: Vec<String> = signers
            .iter()
            .filter(|signer| matches(signer.role))
            .map(|signer| match reader.name_of(signer) {
                name if name.starts_with("key ") => format!("the holder of {name}"),
                name => name,
            })
            .collect();
        names.sort();
        names.dedup();
        if names.iter().any(|name| name == reader.principal.name()) {
            return (Actor::You, "you".to_owned());
        }
        match names.is_empty() || summary.standing != Standing::Verifies {
            true => (Actor::Other, otherwise.to_owned()),
            false => (Actor::Other, names.join(" or ")),
        }
    };
    match ending.kind {
        Kind::Own => (Actor::You, "you".to_owned()),
        Kind::Server | Kind::ClientCa => (Actor::Other, "operators".to_owned()),
        Kind::Crl => (Actor::Other, "the CA and operators".to_owned()),
        Kind::Root | Kind::Certificates => of_role(&|role| role == "root", "the holder of the root key"),
        Kind::Targets => of_role(&|role| role == "targets", "the holder of the targets key"),
        Kind::Delegation | Kind::TufRoot | Kind::TufTargets | Kind::TufDelegation => {
            of_role(&|role| role.starts_with("targets/"), "its signer")
        }
        Kind::Snapshot if ending.is_automatic => (Actor::Server, "the server".to_owned()),
        Kind::Snapshot => (Actor::Other, "the holder of the snapshot key".to_owned()),
        Kind::Timestamp => (Actor::Server, "the server".to_owned()),
    }
}

/// Describes it.
pub fn describe(reader: &Reader<'_>, lines: &Lines, ending: &Ending<'_>, scale: Scale) -> End {
    let now = reader.now;
    let (actor, who) = who(reader, lines, ending);
    let gun = ending.repository();
    let page = if ending.tuf.is_some() {
        "/tuf/repository"
    } else {
        "/repository"
    };
    let distance = relative(ending.at, now);
    let soon = ending.at <= now + TimeDelta::days(SOON);
    let state = match () {
        () if ending.at <= now => Badge::new(State::Bad, format!("Ended {distance}")),
        () if actor == Actor::Server => Badge::new(State::Automatic, distance.clone()),
        () if soon => Badge::new(State::Warn, distance.clone()),
        () => Badge::new(State::Plain, distance.clone()),
    };
    let role = match ending.kind {
        Kind::Root => Some("root"),
        Kind::Targets => Some("targets"),
        Kind::Snapshot => Some("snapshot"),
        _ => None,
    };
    let command = match (ending.kind, gun, role) {
        (_, Some(name), _) if let Some(end) = ending.tuf => Some(format!(
            "countersign tuf renew {} {}",
            quoted(name),
            quoted(&end.role)
        )),
        (Kind::Server, ..) => Some("countersign-server check-config --config server.toml".to_owned()),
        (Kind::Certificates, Some(gun), _) => Some(format!("countersign key rotate {} root", quoted(gun))),
        (Kind::Snapshot, Some(gun), _) => Some(format!("countersign key rotate {} snapshot", quoted(gun))),
        (_, Some(gun), Some(role)) => Some(format!("countersign witness {} {role}", quoted(gun))),
        _ => None,
    };
    let position = scale.position(ending.at - now);
    End {
        what: ending.kind.name(),
        plain: match gun {
            Some(gun) => {
                let last: String = gun.rsplit('/').next().unwrap_or(gun).chars().take(40).collect();
                format!("{} of {}", ending.kind.name(), visible(&last))
            }
            None => ending.kind.name().to_owned(),
        },
        gun: gun.map(|gun| (Gun::new(gun), address(page, &[("gun", gun)]))),
        subject: match ending.kind {
            Kind::TufDelegation => ending.tuf.map(|end| Text::from(&*end.role)),
            Kind::Own => {
                let certificate = reader.principal.certificate();
                certificate.map(|verified| Text::new(verified.certificate.subject()))
            }
            _ => None,
        },
        at: When::date_and_relative(ending.at, now),
        day: day(ending.at),
        distance,
        who: Text::new(who),
        is_soon: soon && actor != Actor::Server,
        actor,
        state,
        advice: ending.kind.advice(),
        command: command.map(Command::new),
        is_late: position > 50.0,
        x: format!("{position:.1}"),
        y: 0,
    }
}

/// A line of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// 90 days, evenly.
    Quarter,
    /// Ten years, compressed.
    Decade,
}

impl Scale {
    /// The places of the compressed scale, in days.
    const PLACES: [i64; 7] = [0, 7, 30, 90, 365, 1096, 3653];
    const BEGIN: f64 = 0.2;
    const END: f64 = 98.0;

    /// Where a moment stands, in per cent of the width.
    #[expect(clippy::cast_precision_loss, reason = "a drawing")]
    fn position(self, from_now: TimeDelta) -> f64 {
        let days = (from_now.num_minutes() as f64 / 1440.0).max(0.0);
        let width = Self::END - Self::BEGIN;
        let share = match self {
            Self::Quarter => days / 90.0,
            Self::Decade => {
                let steps = (Self::PLACES.len() - 1) as f64;
                let pairs = Self::PLACES.iter().zip(Self::PLACES.iter().skip(1)).enumerate();
                let place = pairs.into_iter().find_map(|(step, (begin, end))| {
                    let (begin, end) = (*begin as f64, *end as f64);
                    (days <= end).then(|| step as f64 + (days - begin) / (end - begin))
                });
                place.unwrap_or(steps) / steps
            }
        };
        Self::BEGIN + width * share.min(1.0)
    }

    /// Its marks.
    pub fn marks(self) -> Vec<Mark> {
        let places: &[(i64, &'static str, bool)] = match self {
            Self::Quarter => &[
                (0, "today", false),
                (30, "30 days", false),
                (60, "60 days", true),
                (90, "90 days", false),
            ],
            Self::Decade => &[
                (0, "today", false),
                (7, "7 d", false),
                (30, "30 d", true),
                (90, "90 d", false),
                (365, "1 y", true),
                (1096, "3 y", false),
                (3653, "10 y", false),
            ],
        };
        let marks = places.iter().map(|(days, words, is_wide)| Mark {
            x: format!("{:.1}", self.position(TimeDelta::days(*days))),
            words,
            is_wide: *is_wide,
        });
        marks.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_begins_today_and_ends_within_the_drawing() {
        let at = |days| Scale::Decade.position(TimeDelta::days(days));
        assert!((at(-5) - 0.2).abs() < 0.01 && (at(7) - 16.5).abs() < 0.01 && (at(90) - 49.1).abs() < 0.01);
        assert!((at(100_000) - 98.0).abs() < 0.01);
        assert!((Scale::Quarter.position(TimeDelta::days(30)) - 32.8).abs() < 0.01);
    }
}
