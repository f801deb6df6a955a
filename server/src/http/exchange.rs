//! One request on its way through the stages.

use std::sync::Arc;

use actix_web::{HttpRequest, web};

use super::{decision::RequestRecord, operation::Operation};
use crate::{access::Access, generation::Generation, state::State};

/// A matched route with its parameters, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What is asked for.
    pub operation: Operation,
    /// The repository, as named in the path.
    pub gun: Option<String>,
    /// The role, as named in the path.
    pub role: Option<String>,
    /// The version or checksum, as written in the path.
    pub which: Option<String>,
}

/// A request with everything that the stages and the handlers need.
pub struct Exchange<'a> {
    /// The server's handles.
    pub state: &'a State,
    /// What decides about the request, until its answer.
    pub generation: Arc<Generation>,
    /// The request's head.
    pub request: &'a HttpRequest,
    /// The request's body.
    pub payload: &'a mut web::Payload,
    /// What it asks for.
    pub target: &'a Target,
    /// What was found out and decided so far, for the log and the audit.
    pub record: &'a mut RequestRecord,
}

impl Exchange<'_> {
    /// The rules that decide about it.
    pub fn access(&self) -> &Access {
        &self.generation.access
    }

    /// The query string; empty without one.
    pub fn query(&self) -> &str {
        self.request.query_string()
    }
}
