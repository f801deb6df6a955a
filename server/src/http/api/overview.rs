//! `GET /` with `Accept: text/html`: an overview page. A user who has imported a certificate into the browser is
//! signed in by it; there is no sign-out.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
    },
};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::repositories::{Repository, first};
use crate::{
    access::Identified,
    http::{error::ApiError, exchange::Exchange, outcome::Outcome},
    identity::{IdentityError, Method, Principal},
};

/// How many repositories the page shows.
const SHOWN: usize = 100;
/// The page may load nothing and may not be embedded.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
    table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ccc}\
    code{background:#eee;padding:0 .2rem}";

/// The page for a client with an identity.
pub async fn overview(exchange: &mut Exchange<'_>, grant: Identified) -> Result<Outcome, ApiError> {
    // Only browsers get a page; programs get the Notary server's response.
    if !wants_page(exchange.request) {
        return Err(ApiError::NoRoute);
    }
    let (state, access, principal) = (exchange.state, exchange.access(), grant.principal());
    let (repositories, more) = first(state, access, principal, SHOWN).await?;
    let body = html! {
        (signed_in(principal))
        h2 { "Repositories" }
        @if repositories.is_empty() {
            p { "There are no repositories that you may see." }
        } @else {
            (table(&repositories))
        }
        @if more { p { "There are more: " code { "/api/v0/repositories" } " lists them all." } }
    };
    Ok(page(StatusCode::OK, &body).into())
}

/// Whether a browser sent the request.
pub fn wants_page(request: &HttpRequest) -> bool {
    let mut accepted = request.headers().get_all(ACCEPT);
    accepted.any(|value| value.to_str().is_ok_and(|text| text.contains("text/html")))
}

/// The page for a client without an identity, with the reason and what to do.
pub fn refused(reason: &IdentityError) -> HttpResponse {
    let body = html! {
        p { "You are not signed in: " (reason) "." }
        p {
            "You sign in with a client certificate. Import yours (a PKCS#12 file, " code { ".p12" }
            ") into the browser, and choose it when the browser asks."
        }
    };
    page(StatusCode::UNAUTHORIZED, &body)
}

fn signed_in(principal: &Principal) -> Markup {
    html! {
        @match (principal.method(), principal.certificate()) {
            (Method::Anonymous, _) => p { "You are not signed in." },
            (_, Some(verified)) => {
                p {
                    "Signed in as " strong { (principal.name()) } " by the certificate "
                    code { (verified.certificate.subject()) } ", until "
                    (verified.certificate.not_after().format("%F %T UTC")) "."
                }
                @if !principal.groups().is_empty() { p { "Groups: " (principal.groups().join(", ")) } }
            },
            (_, None) => p { "Signed in as " strong { (principal.name()) } " (" (principal.method().name()) ")." },
        }
    }
}

fn table(repositories: &[Repository]) -> Markup {
    html! {
        table {
            tr { th { "Repository" } th { "Signed" } th { "Publishes" } th { "Sign again before" } }
            @for repository in repositories {
                tr {
                    td { (repository.gun()) }
                    td { @if repository.is_signed() { "yes" } @else { "no" } }
                    td { (repository.pushes()) }
                    td { @if let Some(expires) = repository.expires() { (expires.format("%F")) } }
                }
            }
        }
    }
}

fn page(status: StatusCode, body: &Markup) -> HttpResponse {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { "Countersign" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Countersign" }
                (body)
                p {
                    a href="/ca" { "CA of this server" } " · "
                    a href="/basic_info" { "Who am I" } " · "
                    a href="/openapi.json" { "Interface" }
                }
            }
        }
    };
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .body(page.into_string())
}
