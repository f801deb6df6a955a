//! Which requests are for the registry: everything below `/v2/` but metadata.

use std::borrow::Cow;

use actix_web::{HttpRequest, http::Method};
use percent_encoding::percent_decode_str;

use crate::{
    http::{
        exchange::Target,
        operation::Operation,
        path::{Resolution, clean},
        routes,
    },
    registry::{Gateway, Resource},
};

/// The segment of a path below which metadata is.
const METADATA: &str = "_trust";

/// Finds the route of a request for the registry; `None` for any other request.
pub fn resolve(request: &HttpRequest, gateway: &Gateway) -> Option<Resolution> {
    let uri = request.uri();
    if !is_of_images(uri.path()) {
        return None;
    }
    // A whole URL in the place of a path may name another host, and nobody who knows this server sends one.
    let absolute = uri.scheme().is_some() || uri.authority().is_some();
    let resource = Resource::parse(uri.path()).filter(|_| !absolute);
    let operation = match &resource {
        Some(resource) => operation(request.method(), resource),
        None => Operation::ImageUnknown,
    };
    let mut target = Target::of(operation);
    target.gun = resource
        .as_ref()
        .and_then(Resource::name)
        .map(|name| gateway.gun_of(name));
    target.resource = resource;
    Some(Resolution::Route(target, routes::of_images(operation)))
}

/// Whether a path is below `/v2/` and not metadata, however it is written.
fn is_of_images(path: &str) -> bool {
    let decoded: Cow<'_, str> = percent_decode_str(path).decode_utf8_lossy();
    let clean = clean(&decoded);
    let Some(below) = clean.strip_prefix("/v2/") else {
        return false;
    };
    !below.is_empty() && !below.split('/').any(|segment| segment == METADATA)
}

fn operation(method: &Method, resource: &Resource) -> Operation {
    let reads = *method == Method::GET || *method == Method::HEAD;
    match resource {
        Resource::Catalog if reads => Operation::ImageCatalog,
        Resource::Manifest(..) if reads => Operation::ImageManifest,
        Resource::Manifest(..) if *method == Method::PUT => Operation::ImagePush,
        Resource::Manifest(..) | Resource::Blob(..) if *method == Method::DELETE => Operation::ImageDelete,
        Resource::Blob(..) | Resource::Tags(_) | Resource::Referrers(..) if reads => Operation::ImageRead,
        Resource::Uploads(_) if *method == Method::POST => Operation::ImageUpload,
        Resource::Upload(..) if reads || [Method::PATCH, Method::PUT, Method::DELETE].contains(method) => {
            Operation::ImageUpload
        }
        _ => Operation::ImageUnsupported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_and_the_first_request_are_not_for_the_registry() {
        for path in [
            "/v2/",
            "/v2",
            "//v2/",
            "/v2//",
            "/v2/reg/app/_trust/tuf/root.json",
            "/v2/reg/app/%5ftrust/tuf/root.json",
            "/v2/_trust/changefeed",
            "/v2/x/../_trust/changefeed",
            "/api/v0/repositories",
            "/v2x/app/manifests/y",
            "/",
        ] {
            assert!(!is_of_images(path), "{path}");
        }
        for path in [
            "/v2/app/manifests/latest",
            "//v2/app/manifests/latest",
            "/v2/app/_trust/../manifests/latest",
            "/v2/%61pp/manifests/latest",
            "/%76%32/app/manifests/latest",
            "/x/../v2/app/manifests/latest",
            "/v2/app%2fmanifests%2flatest",
            "/v2/anything",
            "/v2/%ff/manifests/x",
        ] {
            assert!(is_of_images(path), "{path}");
        }
    }

    #[test]
    fn methods_and_paths_together_make_the_operation() {
        let of = |method: Method, path: &str| operation(&method, &Resource::parse(path).unwrap());
        let digest = format!("sha256:{}", "ab".repeat(32));
        let blob = format!("/v2/a/blobs/{digest}");
        for (method, path, expected) in [
            (Method::GET, "/v2/_catalog", Operation::ImageCatalog),
            (Method::POST, "/v2/_catalog", Operation::ImageUnsupported),
            (Method::HEAD, "/v2/a/manifests/x", Operation::ImageManifest),
            (Method::PUT, "/v2/a/manifests/x", Operation::ImagePush),
            (Method::DELETE, "/v2/a/manifests/x", Operation::ImageDelete),
            (Method::PATCH, "/v2/a/manifests/x", Operation::ImageUnsupported),
            (Method::GET, blob.as_str(), Operation::ImageRead),
            (Method::DELETE, blob.as_str(), Operation::ImageDelete),
            (Method::PUT, blob.as_str(), Operation::ImageUnsupported),
            (Method::POST, "/v2/a/blobs/uploads/", Operation::ImageUpload),
            (Method::GET, "/v2/a/blobs/uploads/", Operation::ImageUnsupported),
            (Method::GET, "/v2/a/blobs/uploads/u", Operation::ImageUpload),
            (Method::DELETE, "/v2/a/blobs/uploads/u", Operation::ImageUpload),
            (Method::TRACE, "/v2/a/tags/list", Operation::ImageUnsupported),
            (Method::GET, "/v2/a/tags/list", Operation::ImageRead),
        ] {
            assert_eq!(of(method.clone(), path), expected, "{method} {path}");
        }
    }
}
