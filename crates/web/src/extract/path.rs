//! Path parameters, parsed where they come in.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use base::{Actor, Id, IdKind};

use crate::{App, problem::Problem};

/// A route's path parameters, in the order of the route.
pub(crate) struct Path<T>(pub(crate) T);

/// One parameter.
pub(crate) trait PathParameter: Sized {
    /// From its text; the words on failure say what was expected.
    fn parse(text: &str) -> Result<Self, String>;
}

impl<K: IdKind> PathParameter for Id<K> {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: base::IdError| error.to_string())
    }
}

impl PathParameter for Actor {
    fn parse(text: &str) -> Result<Self, String> {
        let parsed = text.parse::<Self>().ok();
        parsed
            .ok_or_else(|| "expected the id of a client (`cli_...`) or of an operator (`opr_...`)".to_owned())
    }
}

impl PathParameter for u64 {
    fn parse(text: &str) -> Result<Self, String> {
        let digits = (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if digits { text.parse::<i64>().ok() } else { None };
        number
            .and_then(|number| Self::try_from(number).ok())
            .ok_or_else(|| "expected a whole number".to_owned())
    }
}

impl PathParameter for u32 {
    fn parse(text: &str) -> Result<Self, String> {
        let number = <u64 as PathParameter>::parse(text)?;
        Self::try_from(number).map_err(|_| "expected a whole number".to_owned())
    }
}

impl PathParameter for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

fn next<'a, T: PathParameter>(params: &mut impl Iterator<Item = (&'a str, &'a str)>) -> Result<T, Problem> {
    let (name, text) = params.next().ok_or_else(|| Problem::internal("a route lacks a path parameter"))?;
    T::parse(text).map_err(|words| Problem::invalid("invalid-path", name, words))
}

async fn raw(parts: &mut Parts, app: &App) -> Result<RawPathParams, Problem> {
    let params = RawPathParams::from_request_parts(parts, app).await;
    params.map_err(|_| Problem::invalid("malformed-encoding", "path", "not percent-encoded UTF-8"))
}

impl<A: PathParameter> FromRequestParts<App> for Path<A> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let params = raw(parts, app).await?;
        next(&mut params.iter()).map(Self)
    }
}

impl<A: PathParameter, B: PathParameter> FromRequestParts<App> for Path<(A, B)> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let params = raw(parts, app).await?;
        let mut params = params.iter();
        Ok(Self((next(&mut params)?, next(&mut params)?)))
    }
}
