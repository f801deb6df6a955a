//! `GET /tuf/repository/documents?gun=` and `…/commands?gun=`: the files of a TUF 1.0 repository, and what to run.

use actix_web::http::StatusCode;
use tuf_native::{Metadata, Role};

use super::{
    super::{response, shell::host},
    head::{Opened, Page},
};
use crate::{
    access::{Grant, Pull},
    confirmed::native::visited,
    http::{error::ApiError, exchange::Exchange, outcome::Outcome},
    pages::{
        Command, Digest, Text, When,
        native::{NativeCommands, NativeDocuments},
        number, quoted,
        repository::DocumentRow,
        visible,
    },
};

/// The files, for browsers.
pub async fn documents(exchange: &mut Exchange<'_>, grant: Grant<Pull>) -> Result<Outcome, ApiError> {
    let exchange = &*exchange;
    let opened = Opened::new(exchange, &grant).await?;
    let files = &opened.files;
    let all = files
        .timestamp
        .iter()
        .chain(&files.snapshot)
        .chain(&files.root)
        .chain(&files.targets);
    let page = NativeDocuments {
        shell: opened.shell(),
        head: opened.head(Page::Documents),
        rows: all.map(|file| row(&opened, file)).collect(),
    };
    Ok(response::page(&exchange.state.config, StatusCode::OK, &page)?.into())
}

fn row(opened: &Opened<'_>, file: &Metadata) -> DocumentRow {
    let role = file.role();
    let raw = match role {
        Role::Timestamp => role.file_name(),
        _ => format!("{}.{}", file.version(), role.file_name()),
    };
    let raw = opened.raw("metadata", &raw);
    DocumentRow {
        role: Text::from(role.as_str()),
        plain: visible(role.as_str()),
        version: file.version().get(),
        address: raw.clone(),
        raw,
        digest: Digest::new(format!("sha256:{}", file.sha256())),
        bytes: number(file.length()),
        until: Some(When::date(file.expires())),
    }
}

/// The commands, for browsers.
pub async fn commands(exchange: &mut Exchange<'_>, grant: Grant<Pull>) -> Result<Outcome, ApiError> {
    let exchange = &*exchange;
    let opened = Opened::new(exchange, &grant).await?;
    let config = &exchange.state.config;
    let server = match &config.public.external_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("https://{}", host(config, &exchange.generation, exchange.request)),
    };
    let plain = opened.name.as_str();
    let root_key = opened.first_root_key().await?;
    let root_key = root_key.as_deref().unwrap_or("ROOT_KEY");
    let visited = visited(&opened.files);
    let path = visited
        .iter()
        .filter_map(|visited| visited.file?.targets().next())
        .next();
    let (name, path) = (quoted(plain), quoted(path.unwrap_or("PATH")));
    let page = NativeCommands {
        shell: opened.shell(),
        head: opened.head(Page::Commands),
        verify: Command::new(format!("countersign tuf verify {name} --root-key {root_key}")),
        download: Command::new(format!(
            "countersign tuf download {name} {path} --root-key {root_key}"
        )),
        add: Command::new(format!("countersign tuf add {name} FILE")),
        sign: Command::new(format!(
            "countersign tuf status {name}\ncountersign tuf sign {name}"
        )),
        export: Command::new(format!(
            "countersign-server tuf export {name} --config server.toml --out DIR"
        )),
        addresses: Command::new(format!(
            "{0}{1}\n{0}{2}",
            server,
            opened.raw("metadata", ""),
            opened.raw("targets", "")
        )),
    };
    Ok(response::page(config, StatusCode::OK, &page)?.into())
}
