//! What surrounds a page: who the reader is, and where the server is reached.

use actix_web::HttpRequest;

use crate::{
    config::Config,
    generation::{Generation, LoadedListener},
    identity::{Method, Peer, Principal},
    pages::{Me, Place, Shell, Text, When},
};
use std::sync::Arc;

/// What surrounds a page for a reader.
pub fn shell(
    config: &Config,
    generation: &Generation,
    request: &HttpRequest,
    reader: Option<&Principal>,
    here: Place,
) -> Shell {
    Shell {
        here,
        me: me(reader),
        repositories: None,
        hosts_tuf: config.native.is_some(),
        tuf: None,
        ending: None,
        host: Text::new(host(config, generation, request)),
    }
}

fn me(reader: Option<&Principal>) -> Me {
    let Some(reader) = reader.filter(|reader| reader.method() != Method::Anonymous) else {
        return Me {
            name: None,
            by: None,
            until: None,
        };
    };
    let certificate = reader.certificate();
    Me {
        name: Some(Text::from(reader.name())),
        by: Some(match certificate {
            Some(verified) => Text::new(format!("certificate {}", verified.certificate.subject())),
            None if reader.method() == Method::Password => Text::from("password"),
            None => Text::from("token"),
        }),
        until: certificate.map(|verified| When::date(verified.certificate.not_after())),
    }
}

/// The host and port that clients use: as configured, otherwise as the certificate of the listener names it.
pub fn host(config: &Config, generation: &Generation, request: &HttpRequest) -> String {
    if let Some(url) = &config.public.external_url {
        return url.split_once("://").map_or(&**url, |(_, host)| host).to_owned();
    }
    let names = listener(generation, request).map(LoadedListener::host_names);
    match names.and_then(<[String]>::first) {
        Some(name) => name.clone(),
        None => "this server".to_owned(),
    }
}

/// The listener on which the request arrived.
pub fn listener<'a>(generation: &'a Generation, request: &HttpRequest) -> Option<&'a LoadedListener> {
    let peer = request.conn_data::<Arc<Peer>>()?;
    generation.listener(peer.listener)
}
