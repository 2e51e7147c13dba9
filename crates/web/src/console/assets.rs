//! What pages load: one style sheet, one script, two typefaces. Built in; their addresses change with their content, so that a
//! browser keeps them for good.

use std::sync::LazyLock;

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};

use crate::{
    extract::Path,
    problem::{Http, Problem},
};

struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

const ASSETS: [Asset; 5] = [
    Asset {
        name: "console.css",
        kind: "text/css; charset=utf-8",
        bytes: include_bytes!("../../assets/console.css"),
    },
    Asset {
        name: "console.js",
        kind: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../../assets/console.js"),
    },
    Asset { name: "inter.woff2", kind: "font/woff2", bytes: include_bytes!("../../assets/inter.woff2") },
    Asset {
        name: "source-serif.woff2",
        kind: "font/woff2",
        bytes: include_bytes!("../../assets/source-serif.woff2"),
    },
    Asset { name: "mark.svg", kind: "image/svg+xml", bytes: include_bytes!("../../assets/mark.svg") },
];

/// What stands behind `?` in the address of each: eight digits of the hash of all of them.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let all: Vec<u8> = ASSETS.iter().flat_map(|asset| asset.bytes.iter().copied()).collect();
    watch::sha256(&all).get(..8).unwrap_or_default().to_owned()
});

/// That version, for templates.
pub(crate) fn version() -> &'static str {
    VERSION.as_str()
}

pub(crate) async fn asset(Path(name): Path<String>) -> Result<Response, Problem> {
    let found = ASSETS.iter().find(|asset| asset.name == name);
    let asset = found.ok_or_else(|| Problem::http(Http::Route, "there is no such file"))?;
    let mut response = Response::new(Body::from(asset.bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    Ok(response)
}
