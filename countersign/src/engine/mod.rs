//! Docker Engine's authorization plugin: what the engine asks, and what has to be judged before it may go on.
//!
//! The engine can only be told yes or no, so what a name stands for locally is compared with what is signed.

mod authorization;
mod call;
mod content;
mod local;

pub use authorization::{Answer, Authorization, AuthorizationError};
pub use call::{Call, CallError, Unverifiable};
pub use content::{Containers, ContentError, judge_create, judge_start};
pub use local::{Engine, EngineError, LocalContainer, LocalImage};
