//! Where the policy leaves it to an operator where trust begins: the operator's TUF 1.0 repository is asked.

use chrono::{DateTime, Utc};
use client::{Demand, Repositories};
use tuf::Gun;
use verifier::{Anchor, Check, Denial, TrustRoots};

use super::Generation;

/// The operators' repositories.
pub struct Operators {
    #[cfg(feature = "native")]
    vouching: client::native::Vouching,
}

/// A check whose anchor says itself where trust begins, and when an operator's server last confirmed it, if one was asked.
pub type Anchored<'a> = (Check<'a>, Option<DateTime<Utc>>);

impl Operators {
    /// Operators' repositories, of which is remembered beside the others what was seen.
    #[cfg_attr(
        not(feature = "native"),
        expect(unused_variables, reason = "nothing is asked")
    )]
    pub fn new(repositories: &Repositories) -> Self {
        Self {
            #[cfg(feature = "native")]
            vouching: client::native::Vouching::new(repositories),
        }
    }

    /// The check of a repository, with the root that the operator vouches for, if the policy leaves that to one.
    ///
    /// # Errors
    /// When nothing that could be used says for which root the operator vouches; with the time of the server's last answer.
    pub async fn anchored<'a>(
        &self,
        generation: &Generation,
        check: &Check<'a>,
        gun: &Gun,
        demand: Demand,
    ) -> Result<Anchored<'a>, (Denial, Option<DateTime<Utc>>)> {
        match check.anchor() {
            Anchor::TrustRoots(roots) => self.vouched(generation, roots, check, gun, demand).await,
            _ => Ok((check.clone(), None)),
        }
    }

    #[cfg(feature = "native")]
    async fn vouched<'a>(
        &self,
        generation: &Generation,
        roots: &TrustRoots,
        check: &Check<'a>,
        gun: &Gun,
        demand: Demand,
    ) -> Result<Anchored<'a>, (Denial, Option<DateTime<Utc>>)> {
        let operator = operator(generation, roots).map_err(|denial| (denial, None))?;
        let vouched = self.vouching.current(&operator, demand).await;
        let root = vouched.root(gun, check.max_staleness(), Utc::now());
        let (version, sha256) = root.map_err(|denial| (denial, vouched.last()))?;
        let anchored = check.vouched(version, sha256).unwrap_or_else(|| check.clone());
        Ok((anchored, vouched.last()))
    }

    #[cfg(not(feature = "native"))]
    async fn vouched<'a>(
        &self,
        _: &Generation,
        roots: &TrustRoots,
        _: &Check<'a>,
        _: &Gun,
        _: Demand,
    ) -> Result<Anchored<'a>, (Denial, Option<DateTime<Utc>>)> {
        let sentence = check(roots).err().unwrap_or_default();
        Err((Denial::new(verifier::Reason::TrustRoots, sentence), None))
    }
}

#[cfg(feature = "native")]
fn operator(generation: &Generation, roots: &TrustRoots) -> Result<client::native::Operator, Denial> {
    let unusable = |reason: String| Denial::new(verifier::Reason::TrustRoots, reason);
    let name = tuf_native::RepositoryName::parse(&roots.repository);
    let name = name.map_err(|cause| unusable(format!("{}: {cause}", roots.repository)))?;
    let server = generation.server_of(roots)?;
    let root = roots.root.clone().into();
    Ok(client::native::Operator::new(server, name, root))
}

/// Whether an operator's repository can be asked as the policy names it: its name, and the root with which trust begins.
///
/// # Errors
/// What is wrong, in a sentence.
#[cfg(feature = "native")]
pub fn check(roots: &TrustRoots) -> Result<(), String> {
    let name = tuf_native::RepositoryName::parse(&roots.repository).map_err(|cause| cause.to_string())?;
    let root = roots.root.clone().into();
    client::native::Operator::check_root(&name, &root).map_err(|cause| cause.to_string())
}

/// Nothing can be asked.
///
/// # Errors
/// Always.
#[cfg(not(feature = "native"))]
pub fn check(_: &TrustRoots) -> Result<(), String> {
    Err(
        "this program was built without TUF 1.0 repositories, which it would have to read (feature `native`)"
            .to_owned(),
    )
}
