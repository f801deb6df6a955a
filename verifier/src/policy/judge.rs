//! The verdict about an image whose repository was verified.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use tuf::{Checksum, LeftOutCause, MetadataError};

use super::Check;
use super::requirement::{Claim, Condition, RELEASES, RELEASING, SignerName};
use crate::evidence::Evidence;
use crate::reason::{Denial, Reason};
use crate::reference::ImageReference;
use crate::repository::Repository;
use crate::verdict::Verdict;

/// How current the trust data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// How long ago the server last gave, or confirmed, the documents.
    pub age: TimeDelta,
    /// Whether the last attempt to reach the server succeeded.
    pub reachable: bool,
}

impl Freshness {
    /// Of documents that the server gave just now.
    pub fn just_read() -> Self {
        Self {
            age: TimeDelta::zero(),
            reachable: true,
        }
    }
}

impl Check<'_> {
    /// Decides. `repository` is what [`verify`](crate::verify) gave for this check's [`anchor`](Check::anchor), or why there
    /// is none.
    pub fn judge(
        &self,
        image: &ImageReference,
        repository: Result<&Repository, &Denial>,
        freshness: Freshness,
        now: DateTime<Utc>,
    ) -> Verdict {
        let outcome = repository
            .map_err(Clone::clone)
            .and_then(|repository| self.decide(image, repository, freshness, now));
        let rule = Some(self.rule().to_owned());
        let mode = self.mode;
        let evidence = repository.ok().map(|repository| self.evidence(image, repository));
        match outcome {
            Ok(digest) => Verdict {
                image: image.to_string(),
                allow: true,
                mode,
                rule,
                digest: Some(digest),
                pinned: Some(image.pinned(&digest, self.rule.keep_tag)),
                reason: None,
                sentence: signed(evidence.as_ref(), &digest),
                evidence,
            },
            Err(denial) => {
                let mut verdict = Verdict::denied(image.to_string(), &denial);
                verdict.evidence = evidence.or(verdict.evidence);
                Verdict {
                    mode,
                    rule,
                    ..verdict
                }
            }
        }
    }

    fn decide(
        &self,
        image: &ImageReference,
        repository: &Repository,
        freshness: Freshness,
        now: DateTime<Utc>,
    ) -> Result<Checksum, Denial> {
        let gun = image.gun();
        if repository.gun() != gun {
            let sentence = format!(
                "the trust data is that of {}, and the image is of {gun}",
                repository.gun()
            );
            return Err(Denial::new(Reason::Inconsistent, sentence));
        }
        // What was verified from an anchor that trusts more must not serve a rule that trusts less.
        if repository.anchor() != self.anchor().fingerprint() {
            let sentence =
                format!("the trust data of {gun} was verified from another anchor than that of the rule");
            return Err(Denial::new(Reason::AnchorMismatch, sentence));
        }
        let age = freshness.age.max(TimeDelta::zero());
        if age > self.max_staleness() {
            let sentence = format!(
                "the trust server last confirmed the trust data of {gun} {} seconds ago, and the policy allows {} \
                 (max_staleness); see why it cannot be reached",
                age.num_seconds(),
                self.max_staleness().num_seconds()
            );
            return Err(Denial::new(Reason::TooStale, sentence));
        }
        // While the server is away, what was good when it last answered is good for as long as the policy says so.
        let in_grace = !freshness.reachable && self.demands.max_staleness.is_some() && !self.current_only;
        let moment = if in_grace {
            now.checked_sub_signed(age).unwrap_or(now)
        } else {
            now
        };
        repository.check_dates(moment)?;
        let subject = Subject {
            check: self,
            image,
            repository,
            moment,
        };
        subject.digest(now)
    }

    fn evidence(&self, image: &ImageReference, repository: &Repository) -> Evidence {
        let mut evidence = match (image.effective_tag(), image.digest()) {
            (None, Some(digest)) => repository.evidence_of_digest(digest),
            (tag, _) => repository.evidence(tag),
        };
        for named in &mut evidence.roles {
            let Some(role) = repository.role(&named.role) else {
                continue;
            };
            let claim = Claim::of(role, None);
            let conditions = self.demands.conditions.iter();
            let signed: BTreeSet<&SignerName> = conditions
                .flat_map(|condition| condition.who(&claim, self.signers))
                .collect();
            named.signers = signed.iter().map(|name| name.as_str().to_owned()).collect();
        }
        evidence
    }
}

/// The question that is decided.
struct Subject<'a> {
    check: &'a Check<'a>,
    image: &'a ImageReference,
    repository: &'a Repository,
    moment: DateTime<Utc>,
}

impl<'a> Subject<'a> {
    fn digest(&self, now: DateTime<Utc>) -> Result<Checksum, Denial> {
        let found = self.current();
        let Some(written) = self.image.digest() else {
            return found;
        };
        let found = found.and_then(|found| {
            if found == *written {
                return Ok(found);
            }
            let sentence = format!(
                "{} is signed with sha256:{found}, and the reference says sha256:{written}; correct the digest, or sign it",
                self.what()
            );
            Err(Denial::new(Reason::DigestMismatch, sentence))
        });
        found.or_else(|denial| self.formerly(written, denial, now))
    }

    /// The tag or digest, in a sentence.
    fn what(&self) -> String {
        match (self.image.effective_tag(), self.image.digest()) {
            (None, Some(digest)) => format!("sha256:{digest} of {}", self.image.gun()),
            (tag, _) => format!("{}:{}", self.image.gun(), tag.unwrap_or_default()),
        }
    }

    /// What roles say now, whether it has expired or not.
    fn claims(&self) -> Vec<Claim<'a>> {
        match (self.image.effective_tag(), self.image.digest()) {
            (None, Some(digest)) => {
                let naming = self.repository.naming(digest);
                naming.map(|(role, _)| Claim::of(role, Some(digest))).collect()
            }
            (tag, _) => {
                let tag = tag.unwrap_or_default();
                let roles = self.repository.roles().iter();
                roles
                    .filter_map(|role| Some(Claim::of(role, role.target(tag)?)))
                    .collect()
            }
        }
    }

    fn is_live(&self, claim: &Claim<'_>) -> bool {
        claim.expires.is_none_or(|expires| expires >= self.moment)
    }

    fn current(&self) -> Result<Checksum, Denial> {
        let all = self.claims();
        if self.check.demands.conditions.is_empty() {
            self.released(&all)
        } else {
            self.demanded(&all)
        }
    }

    /// The digest that is released, where nothing is demanded.
    fn released(&self, all: &[Claim<'a>]) -> Result<Checksum, Denial> {
        self.check_releases()?;
        for role in RELEASING {
            let Some(claim) = all.iter().find(|claim| claim.role == role) else {
                continue;
            };
            return match claim.digest {
                Some(digest) => Ok(*digest),
                None => Err(self.without_digest(role)),
            };
        }
        Err(self.absent(all))
    }

    /// Without a usable document of the role that releases, nobody knows whether it names another digest.
    fn check_releases(&self) -> Result<(), Denial> {
        let unusable = self
            .repository
            .left_out()
            .iter()
            .find(|left_out| left_out.role == RELEASES);
        if let Some(unusable) = unusable
            && unusable.cause != LeftOutCause::Unpublished
        {
            let reason = match &unusable.cause {
                LeftOutCause::Refused(MetadataError::Checksum { .. }) | LeftOutCause::Missing => {
                    Reason::Inconsistent
                }
                _ => Reason::Signatures,
            };
            return Err(Denial::new(
                reason,
                format!("in {}: {}", self.image.gun(), unusable.sentence()),
            ));
        }
        let expired = self
            .repository
            .role(RELEASES)
            .filter(|role| role.expires() < self.moment);
        match expired {
            Some(role) => Err(self.expired(&[role.name()])),
            None => Ok(()),
        }
    }

    /// The digest for which all conditions hold.
    fn demanded(&self, all: &[Claim<'a>]) -> Result<Checksum, Denial> {
        let live: Vec<Claim<'a>> = all.iter().copied().filter(|claim| self.is_live(claim)).collect();
        let held = self.held(&live);
        let mut digests = held.iter();
        match (digests.next(), digests.next()) {
            (Some(digest), None) => Ok(*digest),
            (None, _) => Err(self.unmet(all, &live)),
            (Some(_), Some(_)) => {
                let released = self.released(all).ok().filter(|released| held.contains(released));
                released.ok_or_else(|| self.disagreement(&live))
            }
        }
    }

    fn held(&self, claims: &[Claim<'_>]) -> BTreeSet<Checksum> {
        let digests: BTreeSet<Checksum> = claims.iter().filter_map(|claim| claim.digest.copied()).collect();
        let hold = |digest: &Checksum| {
            let of_digest: Vec<Claim<'_>> = claims
                .iter()
                .copied()
                .filter(|claim| claim.digest == Some(digest))
                .collect();
            self.conditions_hold(&of_digest)
        };
        digests.into_iter().filter(hold).collect()
    }

    fn conditions_hold(&self, claims: &[Claim<'_>]) -> bool {
        let conditions = &self.check.demands.conditions;
        conditions
            .iter()
            .all(|condition| condition.holds(claims, self.check.signers))
    }

    /// Why no digest meets the conditions.
    fn unmet(&self, all: &[Claim<'_>], live: &[Claim<'_>]) -> Denial {
        if all.is_empty() {
            return self.absent(all);
        }
        if !self.held(all).is_empty() {
            let expired: Vec<&str> = all
                .iter()
                .filter(|claim| !self.is_live(claim))
                .map(|claim| claim.role)
                .collect();
            return self.expired(&expired);
        }
        if let Some(claim) = all.iter().find(|claim| claim.digest.is_none()) {
            return self.without_digest(claim.role);
        }
        if self.conditions_hold(live) {
            return self.disagreement(live);
        }
        let conditions = self.check.demands.conditions.iter();
        let mut failing = conditions.filter(|condition| !condition.holds(live, self.check.signers));
        match failing.next() {
            Some(condition) => self.missing(condition, live),
            None => self.disagreement(live),
        }
    }

    fn missing(&self, condition: &Condition, live: &[Claim<'_>]) -> Denial {
        let signers = self.check.signers;
        let missing = condition.missing(live, signers).join(", ");
        let what = self.what();
        let mut sentence = match condition {
            Condition::Signers { at_least, of } if *at_least == of.len() && missing.is_empty() => {
                format!("{what} is signed for several of the required signers by one and the same key")
            }
            Condition::Signers { at_least, of } if *at_least == of.len() => {
                format!("{what} is not signed by {missing}, whose signature is required; let them sign it")
            }
            Condition::Signers { at_least, .. } => {
                format!(
                    "{what} needs the signatures of {at_least} different signers, and is not signed by {missing}"
                )
            }
            Condition::EveryTeam(_) => {
                format!("{what} is signed by nobody of {missing}; let one of each team sign it")
            }
            Condition::Released => format!("{what} is not released: {RELEASES} does not name it"),
        };
        let signed = |name: &SignerName| {
            live.iter()
                .any(|claim| condition.who(claim, signers).contains(&name))
        };
        let mut absent = condition.names();
        absent.retain(|name| !signed(name));
        for name in &absent {
            if let Some(shared) = live.iter().find(|claim| name.shares(claim, signers)) {
                sentence.push_str(&format!(
                    "; {} has signed {}, but so may others, and whoever signs it last signs what they put there: only a role \
                     of the own counts",
                    name.as_str(),
                    shared.role
                ));
            }
        }
        for unusable in self.repository.left_out() {
            let concerned = unusable.role == RELEASES && *condition == Condition::Released
                || absent
                    .iter()
                    .any(|name| name.may_sign(&unusable.role, &unusable.declared, signers));
            if concerned {
                sentence.push_str("; ");
                sentence.push_str(&unusable.sentence());
            }
        }
        Denial::new(condition.reason(), sentence)
    }

    fn disagreement(&self, live: &[Claim<'_>]) -> Denial {
        let named: Vec<String> = live
            .iter()
            .filter_map(|claim| Some(format!("{} sha256:{}", claim.role, claim.digest?)))
            .collect();
        let sentence = format!(
            "those who signed {} name different digests ({}); let them sign the same",
            self.what(),
            named.join(", ")
        );
        Denial::new(Reason::SignersDisagree, sentence)
    }

    fn without_digest(&self, role: &str) -> Denial {
        let sentence = format!("{role} names {} without a SHA-256; sign it again", self.what());
        Denial::new(Reason::NoDigest, sentence)
    }

    fn expired(&self, roles: &[&str]) -> Denial {
        let ends: Vec<String> = roles
            .iter()
            .filter_map(|role| self.repository.role(role))
            .map(|role| {
                format!(
                    "{} at {}",
                    role.name(),
                    role.expires().format("%Y-%m-%d %H:%M UTC")
                )
            })
            .collect();
        let sentence = format!(
            "what signs {} has expired: {}; whoever has the key has to publish again",
            self.what(),
            ends.join(", ")
        );
        Denial::new(Reason::Expired, sentence)
    }

    /// Why nothing that counts names it.
    fn absent(&self, all: &[Claim<'_>]) -> Denial {
        let what = self.what();
        let elsewhere: Vec<&str> = all.iter().map(|claim| claim.role).collect();
        if !elsewhere.is_empty() {
            let sentence = format!(
                "{what} is signed by {} only and not released: neither {RELEASES} nor targets names it",
                elsewhere.join(", ")
            );
            return Denial::new(Reason::NotReleased, sentence);
        }
        if self
            .repository
            .roles()
            .iter()
            .all(|role| role.tags().next().is_none())
        {
            let sentence = format!(
                "{} has trust data, but nothing in it is signed; sign {what}",
                self.image.gun()
            );
            return Denial::new(Reason::NothingSigned, sentence);
        }
        let reason = match self.image.effective_tag() {
            Some(_) => Reason::TagNotSigned,
            None => Reason::DigestNotSigned,
        };
        Denial::new(reason, format!("{what} is not signed; sign it, or use what is"))
    }

    /// Whether a digest may run that was signed once: `denial` says why it may not now.
    fn formerly(&self, digest: &Checksum, denial: Denial, now: DateTime<Utc>) -> Result<Checksum, Denial> {
        let tag = self.image.effective_tag();
        let of_digest = |former: &&crate::repository::Former| {
            former.digest == *digest && tag.is_none_or(|tag| former.tag == tag)
        };
        let former: Vec<_> = self.repository.former().iter().filter(of_digest).collect();
        let about_digest = matches!(
            denial.reason,
            Reason::DigestNotSigned | Reason::DigestMismatch | Reason::TagNotSigned | Reason::NothingSigned
        );
        if former.is_empty() {
            return Err(denial);
        }
        let no_longer = |fix: String| {
            let sentence = format!(
                "sha256:{digest} of {} was signed once and is no longer; {fix}",
                self.image.gun()
            );
            Err(Denial::new(Reason::DigestNoLongerSigned, sentence))
        };
        let period = self.check.demands.ever_signed;
        let Some(period) = period.filter(|_| !self.check.current_only) else {
            return if about_digest && denial.reason != Reason::DigestMismatch {
                no_longer("sign it again, or use what is signed now".to_owned())
            } else {
                Err(denial)
            };
        };
        // Expiry, damage and missing signatures are no matter of what was signed once.
        let replaced = about_digest
            || matches!(denial.reason, Reason::NotReleased | Reason::SignersDisagree)
            || matches!(
                denial.reason,
                Reason::SignerMissing | Reason::TooFewSigners | Reason::TeamMissing
            );
        if !replaced {
            return Err(denial);
        }
        if former.iter().any(|former| former.revoked) {
            return no_longer("its tag was removed, which revokes it".to_owned());
        }
        let mut claims: Vec<Claim<'_>> = self
            .repository
            .naming(digest)
            .filter(|(_, named)| tag.is_none_or(|tag| *named == tag))
            .map(|(role, _)| Claim::of(role, Some(digest)))
            .filter(|claim| self.is_live(claim))
            .collect();
        let lasting = former.iter().filter(|former| {
            !former.signers.is_empty() && now.signed_duration_since(former.last_seen) <= period
        });
        claims.extend(lasting.map(|former| Claim::of_former(former)));
        let allowed = if self.check.demands.conditions.is_empty() {
            self.check_releases()?;
            claims.iter().any(|claim| RELEASING.contains(&claim.role))
        } else {
            self.conditions_hold(&claims)
        };
        if allowed {
            return Ok(*digest);
        }
        no_longer(format!(
            "the policy lets it run for {} seconds after that, as long as the same signers may sign",
            period.num_seconds()
        ))
    }
}

fn signed(evidence: Option<&Evidence>, digest: &Checksum) -> String {
    let digest = Some(format!("sha256:{digest}"));
    let named = evidence.iter().flat_map(|evidence| &evidence.roles);
    let mut roles: Vec<String> = Vec::new();
    for role in named.filter(|role| role.digest == digest) {
        roles.push(match role.signers.as_slice() {
            [] => role.role.clone(),
            signers => format!("{} ({})", role.role, signers.join(", ")),
        });
    }
    match roles.as_slice() {
        // It may run because it was signed once.
        [] => "signed once, and the policy lets it run still".to_owned(),
        roles => format!("signed as the policy demands: {}", roles.join(", ")),
    }
}
