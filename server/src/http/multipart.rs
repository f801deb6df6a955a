//! The form of a publish: one part for each role, which is named by the part's file name only.

use actix_web::{
    HttpMessage, HttpRequest,
    http::header::{ContentDisposition, HeaderValue},
};
use bytes::Bytes;
use futures_util::stream;
use multer::Multipart;
use tokio::sync::mpsc;

use super::error::ApiError;

/// The most parts accepted; no repository has as many roles.
const PART_LIMIT: usize = 4096;

/// The boundary given in the request's content type.
pub fn boundary(request: &HttpRequest) -> Result<String, ApiError> {
    let malformed = |reason: &str| ApiError::MalformedUpload(reason.to_owned());
    let kind = request
        .mime_type()
        .ok()
        .flatten()
        .ok_or_else(|| malformed("the request has no content type"))?;
    let multipart =
        kind.type_() == "multipart" && (kind.subtype() == "form-data" || kind.subtype() == "mixed");
    if !multipart {
        return Err(malformed(
            "the content type is neither multipart/form-data nor multipart/mixed",
        ));
    }
    let boundary = kind
        .get_param("boundary")
        .map(|boundary| boundary.as_str().to_owned());
    boundary
        .filter(|text| !text.is_empty())
        .ok_or_else(|| malformed("the content type has no boundary"))
}

/// The parts in their order: file name as sent, and content. The body comes piece by piece, so that it is never there as
/// a whole beside its parts.
pub async fn parts(
    pieces: mpsc::Receiver<Bytes>,
    boundary: String,
) -> Result<Vec<(Option<String>, Bytes)>, ApiError> {
    let malformed = |cause: multer::Error| ApiError::MalformedUpload(cause.to_string());
    let body = stream::unfold(pieces, async |mut pieces: mpsc::Receiver<Bytes>| {
        let piece = pieces.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), pieces))
    });
    let mut form = Multipart::new(body, boundary);
    let mut parts = Vec::new();
    while let Some(field) = form.next_field().await.map_err(malformed)? {
        if parts.len() == PART_LIMIT {
            return Err(ApiError::MalformedUpload(format!(
                "the form has more than {PART_LIMIT} parts"
            )));
        }
        let disposition = field
            .headers()
            .get("content-disposition")
            .map(|value| value.as_bytes().to_vec());
        let name = disposition.and_then(|raw| file_name(&raw));
        parts.push((name, field.bytes().await.map_err(malformed)?));
    }
    Ok(parts)
}

/// The file name as sent; slashes in it are part of the role's name.
fn file_name(disposition: &[u8]) -> Option<String> {
    let value = HeaderValue::from_bytes(disposition).ok()?;
    let disposition = ContentDisposition::from_raw(&value).ok()?;
    let extended = disposition
        .get_filename_ext()
        .and_then(|extended| String::from_utf8(extended.value.clone()).ok());
    extended.or_else(|| disposition.get_filename().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In pieces of every length up to that of the whole.
    async fn parse(body: &'static str) -> Result<Vec<(Option<String>, Bytes)>, ApiError> {
        let whole = body.len().max(1);
        for length in 1..whole {
            let cut = parse_in_pieces(body, length).await;
            assert_eq!(
                format!("{cut:?}"),
                format!("{:?}", parse_in_pieces(body, whole).await),
                "{length}"
            );
        }
        parse_in_pieces(body, whole).await
    }

    async fn parse_in_pieces(
        body: &'static str,
        length: usize,
    ) -> Result<Vec<(Option<String>, Bytes)>, ApiError> {
        let (sender, pieces) = mpsc::channel(body.len().max(1));
        for piece in body.as_bytes().chunks(length) {
            sender.try_send(Bytes::from_static(piece)).unwrap();
        }
        drop(sender);
        parts(pieces, "B".to_owned()).await
    }

    #[tokio::test]
    async fn an_empty_form_has_no_parts() {
        assert!(parse("\r\n--B--\r\n").await.unwrap().is_empty());
        assert!(parse("--B--\r\n").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn file_names_are_taken_verbatim_in_every_form() {
        let forms = [
            (
                r#"form-data; name="files"; filename="targets/releases""#,
                Some("targets/releases"),
            ),
            (r#"attachment; filename="../targets""#, Some("../targets")),
            ("form-data; filename=root", Some("root")),
            ("form-data; filename*=UTF-8''targets%2Fa", Some("targets/a")),
            (r#"form-data; name="files""#, None),
        ];
        for (disposition, expected) in forms {
            let body = format!("--B\r\nContent-Disposition: {disposition}\r\n\r\n{{}}\r\n--B--\r\n");
            let parts = parse(Box::leak(body.into_boxed_str())).await.unwrap();
            assert_eq!(
                parts,
                [(expected.map(str::to_owned), Bytes::from_static(b"{}"))],
                "{disposition}"
            );
        }
    }

    #[tokio::test]
    async fn broken_forms_are_refused() {
        for body in [
            "",
            "garbage",
            "--B\r\nContent-Disposition: form-data; filename=\"root\"\r\n\r\n{\"cut",
        ] {
            let refused = parse(body).await;
            assert!(
                matches!(refused, Err(ApiError::MalformedUpload(_))),
                "{body:?}: {refused:?}"
            );
        }
    }
}
