//! Checks that the signer answers and has the keys that the stored repositories need.

use std::collections::BTreeMap;

use platform::report::Report;
use signing::{KeyService, SigningError};
use tuf::{Gun, KeyId, RoleName, Severity};

use crate::{
    config::TrustService,
    state::{self, OpenError},
};

use super::report::repositories;

/// The signer; dropped when it fails to answer.
pub(super) struct Signer {
    keys: KeyService,
    address: String,
}

/// Which keys of one repository the signer has.
pub(super) struct Held {
    /// Whether it has a key of the timestamp.
    pub(super) timestamp: bool,
    /// Whether it has a key of the snapshot; if not, the publisher has it.
    pub(super) snapshot: bool,
    /// Keys that the signer made for another repository or role.
    others: Vec<(RoleName, KeyId)>,
    /// Keys for which it does not report what they were made for.
    unsaid: Vec<KeyId>,
    /// Why the signer could not be asked.
    failure: Option<SigningError>,
    missing: Vec<String>,
}

/// The result for the keys of all repositories.
#[derive(Default)]
pub(super) struct ServerKeys {
    asked: u64,
    snapshots: u64,
    without_timestamp: u64,
    expired: u64,
    /// The repository that was found to name a key, if the signer does not report what it was made for.
    named: BTreeMap<KeyId, Gun>,
    unanswered: bool,
}

impl Signer {
    /// The signer of the configuration; `None` if the server signs by itself. Must be called within a runtime.
    pub(super) fn of(trust_service: &TrustService) -> Result<Option<Self>, OpenError> {
        let TrustService::Remote { host, port, .. } = trust_service else {
            return Ok(None);
        };
        let (keys, _) = state::key_service(trust_service)?;
        let address = format!("{host}:{port}");
        Ok(Some(Self { keys, address }))
    }

    /// Asks for the keys that a root lists for the roles which the server may sign.
    pub(super) async fn held(&self, gun: &Gun, root: &[u8]) -> Held {
        let mut held = Held {
            timestamp: false,
            snapshot: false,
            others: Vec::new(),
            unsaid: Vec::new(),
            failure: None,
            missing: Vec::new(),
        };
        for role in [RoleName::Timestamp, RoleName::Snapshot] {
            // An unreadable root has already been reported.
            for key in tuf::role_keys(root, &role).unwrap_or_default() {
                match self.keys.key_info(key.id()).await {
                    Ok(Some(found)) => {
                        match role {
                            RoleName::Timestamp => held.timestamp = true,
                            _ => held.snapshot = true,
                        }
                        match found.made_for(gun, &role) {
                            Some(true) => {}
                            Some(false) => held.others.push((role.clone(), key.id().clone())),
                            None => held.unsaid.push(key.id().clone()),
                        }
                    }
                    Ok(None) if role == RoleName::Timestamp => held.missing.push(key.id().to_string()),
                    Ok(None) => {}
                    Err(failure) => {
                        held.failure = Some(failure);
                        return held;
                    }
                }
            }
        }
        held
    }
}

/// The signer if it answers; otherwise reports why it does not.
pub(super) async fn healthy(signer: Option<Signer>, report: &mut Report) -> Option<Signer> {
    let signer = signer?;
    match signer.keys.health().await {
        Ok(()) => {
            report.fine(format_args!(
                "the signer at {} answers and is healthy",
                signer.address
            ));
            Some(signer)
        }
        Err(reason) => {
            report.broken(format_args!(
                "the signer at {}: {reason}; without it nobody can publish, and timestamps are not renewed. Its keys \
                 were not checked: start it, make sure that trust_service.tls_ca_file is the CA of its certificate \
                 and that its client_ca_file is that of trust_service.tls_client_cert, and check again",
                signer.address
            ));
            None
        }
    }
}

impl ServerKeys {
    /// Counts a document that has expired or will, and that the server renews by itself.
    pub(super) fn renewable(&mut self, severity: Severity) {
        self.expired += u64::from(severity == Severity::Expired);
    }

    /// Counts one repository's keys and reports what is missing.
    pub(super) fn count(&mut self, gun: &Gun, held: &Held, report: &mut Report) {
        if let Some(failure) = &held.failure {
            if !self.unanswered {
                report.broken(format_args!(
                    "{gun}: the signer could not be asked for its keys: {failure}"
                ));
            }
            self.unanswered = true;
            return;
        }
        self.asked += 1;
        for (role, id) in &held.others {
            report.broken(format_args!(
                "{gun}: its root names a {role} key that was made for another repository or another role ({id}). It \
                 still works, but can prevent the other's owner from publishing; its owner has to run \
                 \"notary key rotate {gun} {role} -r\""
            ));
        }
        for id in &held.unsaid {
            match self.named.get(id) {
                Some(other) => report.broken(format_args!(
                    "{gun}: its root names a key of the signer that {other} names too ({id}), so that either owner can \
                     prevent the other from publishing; the one whose key it is not has to run \
                     \"notary key rotate\""
                )),
                None => drop(self.named.insert(id.clone(), gun.clone())),
            }
        }
        self.snapshots += u64::from(held.snapshot);
        if !held.timestamp {
            self.without_timestamp += 1;
            report.broken(format_args!(
                "{gun}: the signer does not have its timestamp key ({}), so its timestamp cannot be renewed and \
                 publishes are refused; if another signer has the key, move that signer's database here; otherwise \
                 run \"notary key rotate {gun} timestamp -r\" as its owner",
                held.missing.join(", ")
            ));
        }
    }

    /// Reports the result for `checked` repositories.
    pub(super) fn tell(&self, checked: u64, report: &mut Report) {
        if self.expired > 0 {
            report.note(format_args!(
                "{} documents that the server signs have expired; each is renewed when it is asked for",
                self.expired
            ));
        }
        if self.asked == 0 {
            return;
        }
        if self.without_timestamp == 0 {
            report.fine(format_args!(
                "the signer has the timestamp keys of the {} it was asked for",
                repositories(self.asked)
            ));
        }
        report.note(format_args!(
            "the signer has the snapshot keys of {} of them; the publishers of the others must have theirs",
            self.snapshots
        ));
        if self.asked < checked {
            report.note("the signer was asked for the keys of a sample; --all asks for every repository");
        }
    }
}
