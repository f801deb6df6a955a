//! `GET /assets/…`: the style sheet and the script, for everybody: whoever may not enter sees a page that says so.

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
};

use super::response::everywhere;
use crate::{
    http::{error::ApiError, exchange::Exchange, outcome::Outcome, stages::Open},
    pages,
};

/// The file that the path names.
pub async fn asset(exchange: &mut Exchange<'_>, _: Open) -> Result<Outcome, ApiError> {
    let name = exchange.target.selector.as_deref().unwrap_or_default();
    let (asset, is_present) = pages::asset(name).ok_or(ApiError::NoRoute)?;
    let tag = format!("\"{}\"", asset.hash());
    let known = exchange.request.headers().get_all(IF_NONE_MATCH);
    let mut known = known.filter_map(|value| value.to_str().ok());
    let is_known = known.any(|tags| tags.split(',').any(|known| known.trim() == tag));
    let mut response = if is_known {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response.insert_header((ETAG, tag)).insert_header((
        CACHE_CONTROL,
        if is_present {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        },
    ));
    everywhere(&exchange.state.config, &mut response);
    Ok(if is_known {
        response.finish().into()
    } else {
        response
            .insert_header((CONTENT_TYPE, asset.media_type))
            .body(asset.content)
            .into()
    })
}
