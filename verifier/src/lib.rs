//! Decides whether an image is signed as a policy demands. Pure: no I/O, no clock.
//!
//! A caller parses the [`ImageReference`], asks the [`Policy`] for a [`Plan`], and, if that is a [`Check`], brings the
//! [`Documents`] of the repository through [`verify`] and lets the check judge the [`Repository`]. No server is trusted:
//! everything is verified from the policy's [`Anchor`] and from what was [`Seen`] before. Whatever goes wrong is a
//! [`Denial`] with a [`Reason`]; no error becomes an allow.

#![forbid(unsafe_code)]

mod anchor;
mod documents;
mod evidence;
mod import;
mod pattern;
mod policy;
mod reason;
mod reference;
mod repository;
mod seen;
mod server;
mod trust_roots;
mod verdict;

pub use anchor::{Anchor, AnchorError};
pub use documents::Documents;
pub use evidence::{DocumentEvidence, Evidence, RoleEvidence};
pub use import::{ImportError, Imported, import_engine, import_mke, import_notary};
pub use pattern::{Pattern, PatternError};
pub use policy::{Check, Freshness, Plan, Policy, PolicyError, RequestContext};
pub use reason::{Denial, Reason};
pub use reference::{ImageReference, ReferenceError};
pub use repository::{Repository, SignedRole, verify};
pub use seen::Seen;
pub use server::ServerRule;
pub use trust_roots::{TrustRoots, VouchedRoot};
pub use verdict::{Mode, Verdict};
