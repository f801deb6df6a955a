//! Manifests: the images that Kubernetes' objects and Compose files name, and the same files with digests in them.

mod documents;
mod files;
mod rewrite;

pub use documents::{ManifestError, images};
pub use files::ManifestFiles;
pub use rewrite::{RewriteError, rewrite};
