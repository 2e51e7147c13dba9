//! What handlers take from a request. Whatever is wrong is a problem that names the field, the
//! parameter or the header.

mod form;
mod json;
mod path;
mod precondition;
mod query;
mod raw;

pub(crate) use form::{Form, Pairs};
pub(crate) use json::{Json, JsonBatch, RawJson, RawPatch, SignInJson, content_length};
pub(crate) use path::{Path, PathParameter};
pub(crate) use precondition::{IDEMPOTENCY_KEY, IfMatch, Once, etag};
pub(crate) use query::{Query, QueryParameters};
pub(crate) use raw::members;
