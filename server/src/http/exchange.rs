//! One request on its way through the stages.

use std::sync::Arc;

use actix_web::{HttpRequest, web};

use super::{decision::RequestRecord, operation::Operation};
use crate::{access::Access, generation::Generation, state::State};

/// A matched route with its decoded parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The operation that is asked for.
    pub operation: Operation,
    /// The repository, as named in the path.
    pub gun: Option<String>,
    /// The role, as named in the path.
    pub role: Option<String>,
    /// The version, the checksum, or the path below the repositories, as written in the path.
    pub selector: Option<String>,
}

/// A request, with everything that the stages and the handlers need.
pub struct Exchange<'a> {
    /// The server's shared state.
    pub state: &'a State,
    /// The generation that decides about the request until its response is complete.
    pub generation: Arc<Generation>,
    /// The request's head.
    pub request: &'a HttpRequest,
    /// The request's body.
    pub payload: &'a mut web::Payload,
    /// What the request asks for.
    pub target: &'a Target,
    /// What is known and decided so far, for the log and the audit.
    pub record: &'a mut RequestRecord,
}

impl Exchange<'_> {
    /// The access rules that decide about the request.
    pub fn access(&self) -> &Access {
        &self.generation.access
    }

    /// The query string; empty if there is none.
    pub fn query(&self) -> &str {
        self.request.query_string()
    }
}
