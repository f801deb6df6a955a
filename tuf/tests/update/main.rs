//! Publishing, from uploaded parts to signed documents, and refreshing.

mod refresh;
mod replay;
mod root;
mod sealing;
mod snapshot;
mod stored;
mod support;
mod targets;
mod vectors;
