//! Target files of TUF 1.0 repositories: stored here up to a limit, or somewhere else.

use actix_web::{
    HttpResponse,
    http::header::{CONTENT_TYPE, HeaderValue, LOCATION},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{below, files::absent, name};
use crate::{
    access::{Grant, PublishAny, Pull},
    http::{
        authenticate::still_admitted, body, caching::Caching, error::ApiError, exchange::Exchange,
        outcome::Outcome,
    },
    native::NativeError,
    store::{Committed, TargetStored},
};

/// What stands for itself in an address; slashes stay between segments.
const ENCODED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'_')
    .remove(b'.')
    .remove(b'-')
    .remove(b'~')
    .remove(b'/');

/// The SHA-256 in the last segment of a consistent name, `directory/HASH.name` (specification 1.0, section 6.2).
fn checksum(path: &str) -> Option<String> {
    leading(path.rsplit('/').next()?)
}

/// The same of a name that is asked for. tough writes it as `HASH.directory/name`.
fn asked(path: &str) -> Option<String> {
    checksum(path).or_else(|| leading(path))
}

/// The SHA-256 that a name begins with.
fn leading(name: &str) -> Option<String> {
    let (hash, name) = name.split_once('.')?;
    let fits = hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (fits && !name.is_empty()).then(|| hash.to_owned())
}

/// Serves a target file, or says where it is.
pub async fn read(exchange: &mut Exchange<'_>, grant: Grant<Pull>) -> Result<Outcome, ApiError> {
    let name = name(exchange)?;
    let sha256 = asked(below(exchange)).ok_or(ApiError::NotFound)?;
    let (gun, wanted) = (name.gun().clone(), sha256.clone());
    let found = exchange
        .state
        .with_store(move |store| store.native_target(&gun, &wanted))
        .await?;
    if let Some(content) = found {
        let caching = Caching {
            max_age: exchange.state.config.caching.consistent,
            current: false,
            public: exchange.access().is_public(grant.gun()),
        };
        let (mut response, unchanged) = caching.begin(exchange.request, &sha256);
        if unchanged {
            return Ok(response.finish().into());
        }
        // Whatever it is, a browser is not to run it as a page of this server.
        response.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")));
        response.insert_header(("X-Content-Type-Options", "nosniff"));
        response.insert_header(("Content-Disposition", "attachment"));
        return Ok(response.body(content).into());
    }
    let elsewhere = exchange
        .state
        .config
        .native
        .as_ref()
        .and_then(|settings| settings.elsewhere.as_deref());
    let Some(elsewhere) = elsewhere else {
        return Err(absent(exchange, &name).await?);
    };
    let address = format!(
        "{elsewhere}/{}/{}",
        utf8_percent_encode(name.as_str(), &ENCODED),
        utf8_percent_encode(below(exchange), &ENCODED)
    );
    Ok(HttpResponse::TemporaryRedirect()
        .insert_header((LOCATION, address))
        .finish()
        .into())
}

/// Stores a target file under the name that its content gives it.
pub async fn store(exchange: &mut Exchange<'_>, grant: Grant<PublishAny>) -> Result<Outcome, ApiError> {
    let name = name(exchange)?;
    let stated = checksum(below(exchange)).ok_or_else(|| {
        ApiError::InvalidParameter(
            "a target file is stored as HASH.NAME, HASH being the SHA-256 of its content in lower-case hexadecimal digits"
                .to_owned(),
        )
    })?;
    let settings = exchange.state.config.native.as_ref().ok_or(ApiError::NoRoute)?;
    let (limit, most) = (settings.target_size, settings.target_count);
    let length = body::announced(exchange.request).and_then(|length| usize::try_from(length).ok());
    body::check_announced(exchange.request, limit)?;
    let _memory = exchange.state.upload_memory.take(length.or(Some(limit))).await?;
    let content = body::read_whole(exchange.request, exchange.payload, limit).await?;
    let found = hex::encode(openssl::sha::sha256(&content));
    if found != stated {
        return Err(ApiError::InvalidParameter(format!(
            "the SHA-256 of the content is {found}, not {stated}: the file was changed or cut off on its way"
        )));
    }
    still_admitted(exchange, grant.principal()).await?;
    let (gun, actor, now) = (
        name.gun().clone(),
        grant.principal().actor(),
        exchange.state.clock.now(),
    );
    let stored = exchange
        .state
        .with_store(move |store| store.add_native_target(&gun, (&found, &content), most, &actor, now))
        .await?;
    match stored {
        TargetStored::New => Ok(Outcome::changed(
            HttpResponse::Created().finish(),
            Committed {
                documents: Vec::new(),
                place: None,
                newest: None,
            },
        )),
        TargetStored::Same => Ok(HttpResponse::Ok().finish().into()),
        TargetStored::NoRepository => Err(NativeError::NoRepository.into()),
        TargetStored::Full => Err(ApiError::InvalidParameter(format!(
            "the repository holds {most} target files, as many as it may (tuf.targets.max_count)"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::{asked, checksum};

    #[test]
    fn both_consistent_names_of_clients_lead_to_the_hash() {
        let hash = "ab".repeat(32);
        for (path, stored) in [
            (format!("{hash}.a.txt"), true),
            (format!("docs/{hash}.a.txt"), true),
            (format!("{hash}.docs/a.txt"), false),
        ] {
            assert_eq!(asked(&path).as_ref(), Some(&hash), "{path}");
            assert_eq!(checksum(&path).is_some(), stored, "{path}");
        }
        for path in [
            format!("docs/{hash}."),
            format!("docs/{hash}.x/a"),
            "a.txt".to_owned(),
            hash.clone(),
        ] {
            assert_eq!(asked(&path), None, "{path}");
        }
    }
}
