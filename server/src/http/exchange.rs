//! One request on its way through the stages.

use std::sync::Arc;

use actix_web::{HttpRequest, web};
use tokio::sync::OnceCell;
use tuf::Gun;

use super::{decision::RequestRecord, error::ApiError, operation::Operation, tokens::TokenRequest};
use crate::{
    access::{Access, Grant, Pull},
    confirmed::{Moment, Served, Wanted},
    generation::Generation,
    registry::Resource,
    state::{ServiceError, State},
};

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
    /// What the path names at the registry, for operations on images.
    pub resource: Option<Resource>,
}

impl Target {
    /// A target whose path names nothing.
    pub fn of(operation: Operation) -> Self {
        Self {
            operation,
            gun: None,
            role: None,
            selector: None,
            resource: None,
        }
    }
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
    /// What a request for a token asks for, once it was read.
    pub token_request: Option<TokenRequest>,
    /// The moment of the database that the request is answered for, once it was asked for.
    pub moment: OnceCell<Moment>,
}

impl Exchange<'_> {
    /// The access rules that decide about the request.
    pub fn access(&self) -> &Access {
        &self.generation.access
    }

    /// The moment of the database that the request is answered for. It is asked for once, after the request arrived, and
    /// only if something depends on it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn moment(&self) -> Result<&Moment, ServiceError> {
        self.moment.get_or_try_init(|| self.new_moment()).await
    }

    /// A moment from now on, for what may have changed since the first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn new_moment(&self) -> Result<Moment, ServiceError> {
        let operation = self.target.operation;
        let name = self.target.gun.as_deref().filter(|_| operation.uses_documents());
        let gun = name.and_then(|name| Gun::parse(name).ok());
        let confirmed = &self.state.confirmed;
        Ok(confirmed.moment(gun.as_ref(), operation.class()).await?)
    }

    /// A document of the repository that the caller may pull.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn document(
        &self,
        grant: &Grant<Pull>,
        wanted: Wanted,
    ) -> Result<Option<Arc<Served>>, ApiError> {
        let moment = self.moment().await?;
        let found = self.state.confirmed.document(moment, grant.gun(), wanted).await;
        Ok(found.map_err(ServiceError::from)?)
    }

    /// The query string; empty if there is none.
    pub fn query(&self) -> &str {
        self.request.query_string()
    }
}
