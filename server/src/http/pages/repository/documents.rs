//! `GET /repository/documents?gun=&role=&version=` and `GET /repository/commands?gun=`.

use actix_web::http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tuf::{Document, RoleName, Version};

use super::{
    super::{
        form::{self, Form},
        response,
        shell::host,
    },
    head::{Opened, Page},
};
use crate::{
    access::{Grant, Pull},
    http::{api::parameter, error::ApiError, exchange::Exchange, outcome::Outcome},
    pages::{
        Choice, Command, Digest, Text, When, number, quoted,
        repository::{Commands, DocumentRow, Documents, Shown},
        visible,
    },
};

/// The longest document that is laid out, in bytes.
const LAID_OUT: usize = 4 * 1024 * 1024;
/// How much of a document is shown, in characters.
const SHOWN: usize = 200_000;
/// What a segment of a path may not hold as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/')
    .remove(b':');

/// The documents, for browsers.
pub async fn documents(exchange: &mut Exchange<'_>, grant: Grant<Pull>) -> Result<Outcome, ApiError> {
    let exchange = &*exchange;
    let opened = Opened::new(exchange, &grant).await?;
    let files = &opened.files;
    let targets = files.targets.values();
    let current: Vec<&Document> = files
        .root
        .iter()
        .chain(targets)
        .chain(&files.snapshot)
        .chain([&files.timestamp])
        .collect();
    let asked = parameter(exchange.query(), "role").and_then(|role| RoleName::parse(&role).ok());
    let role = asked.unwrap_or(RoleName::Timestamp);
    let of_role = current.iter().find(|document| document.role == role);
    let asked = parameter(exchange.query(), "version").filter(|text| !text.is_empty());
    let version = match &asked {
        Some(text) => text
            .trim()
            .parse()
            .ok()
            .and_then(|number| Version::new(number).ok()),
        None => of_role.map(|document| document.version),
    };
    let stored = match version {
        Some(version) => {
            let (gun, role) = (opened.gun.clone(), role.clone());
            let found = exchange
                .state
                .with_store(move |store| store.version(&gun, &role, version));
            found.await?
        }
        None => None,
    };
    let now = opened.reader.now;
    let rows = current.iter().map(|document| DocumentRow {
        role: Text::from(document.role.as_str()),
        plain: visible(document.role.as_str()),
        version: document.version.get(),
        address: opened.address(
            "/repository/documents",
            &[
                ("role", document.role.as_str()),
                ("version", &document.version.to_string()),
            ],
        ),
        raw: raw(&opened, document),
        digest: Digest::new(format!("sha256:{}", document.sha256)),
        bytes: number(document.bytes.len()),
        until: tuf::usable_until(&opened.gun, &document.role, &document.bytes)
            .ok()
            .map(|(end, _)| When::date(end)),
    });
    let page = Documents {
        shell: opened.shell(),
        head: opened.head(Page::Documents),
        gun: opened.gun.to_string(),
        rows: rows.collect(),
        roles: current
            .iter()
            .map(|document| Choice {
                value: document.role.to_string(),
                shown: visible(document.role.as_str()),
                is_chosen: document.role == role,
            })
            .collect(),
        version: asked.or_else(|| Some(version?.to_string())).unwrap_or_default(),
        shown: stored.map(|stored| {
            let text = laid_out(&stored.document.bytes);
            let cut: String = text.chars().take(SHOWN).collect();
            Shown {
                role: Text::from(stored.document.role.as_str()),
                version: stored.document.version.get(),
                stored: stored.stored_at.map(|at| When::relative(at, now)),
                raw: raw(&opened, &stored.document),
                is_cut: cut.len() < text.len(),
                text: Text::new(cut),
            }
        }),
    };
    Ok(response::page(&exchange.state.config, StatusCode::OK, &page)?.into())
}

/// The address of a document's bytes.
fn raw(opened: &Opened<'_>, document: &Document) -> String {
    let (gun, role) = (opened.gun.as_str(), document.role.as_str());
    format!(
        "/v2/{}/_trust/tuf/{}.{}.json",
        utf8_percent_encode(gun, PATH),
        document.version,
        utf8_percent_encode(role, PATH)
    )
}

/// JSON with line breaks; anything else, and the beginning of what is too long to be laid out, as it is.
fn laid_out(bytes: &[u8]) -> String {
    if bytes.len() > LAID_OUT {
        return String::from_utf8_lossy(&bytes[..LAID_OUT]).into_owned();
    }
    let laid_out =
        serde_json::from_slice::<Value>(bytes).and_then(|value| serde_json::to_string_pretty(&value));
    laid_out.unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned())
}

/// The commands, for browsers.
pub async fn commands(exchange: &mut Exchange<'_>, grant: Grant<Pull>) -> Result<Outcome, ApiError> {
    let exchange = &*exchange;
    let opened = Opened::new(exchange, &grant).await?;
    let config = &exchange.state.config;
    let server = match &config.public.external_url {
        Some(url) => url.clone(),
        None => format!("https://{}", host(config, &exchange.generation, exchange.request)),
    };
    let gun = opened.gun.as_str();
    let (server, tagged, gun) = (quoted(&server), quoted(&format!("{gun}:TAG")), quoted(gun));
    let registry = opened.gun.as_str().split('/').next().unwrap_or_default();
    let registry = quoted(registry);
    let is_admin = exchange
        .access()
        .authorize_access_changes(grant.principal())
        .is_ok();
    let token = if is_admin {
        Some(form::token(exchange, grant.principal())?)
    } else {
        None
    };
    let renewal = match Form::parse(exchange.query())?.get("renewal") {
        "renewed" => Some("It was renewed."),
        "not_needed" => Some("Nothing was renewed: nothing that this server signs ends soon."),
        "not_possible" => Some(
            "It cannot be renewed: this server does not hold a key, or a document is broken. Its log says which.",
        ),
        _ => None,
    };
    let page = Commands {
        token,
        renewal,
        whole_name: opened.gun.to_string(),
        shell: opened.shell(),
        head: opened.head(Page::Commands),
        set_up: Command::new(format!(
            "curl -sS --cacert ca.pem {server}/setup.sh -o setup.sh\nsh setup.sh --registry {registry} cert.pem key.pem"
        )),
        docker: Command::new(format!(
            "export DOCKER_CONTENT_TRUST=1\nexport DOCKER_CONTENT_TRUST_SERVER={server}\ndocker trust sign {tagged}\ndocker pull {tagged}"
        )),
        verify: Command::new(format!("countersign verify --explain {tagged}")),
        sign: Command::new(format!("countersign sign {tagged} --from-registry")),
        revoke: Command::new(format!("countersign revoke {tagged}")),
        notary: Command::new(format!(
            "notary -s {server} --tlscacert ca.pem --tlscert cert.pem --tlskey key.pem list {gun}"
        )),
    };
    Ok(response::page(config, StatusCode::OK, &page)?.into())
}
