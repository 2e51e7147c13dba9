//! Query parameters: each known, each at most once.

use axum::{extract::FromRequestParts, http::request::Parts};

use super::Pairs;
use crate::{App, problem::Problem};

/// A route's query parameters.
pub(crate) trait QueryParameters: Sized {
    /// Takes them out of the pairs. What is left in is refused.
    fn take(pairs: &mut Pairs) -> Result<Self, Problem>;
}

/// The query of a request.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: QueryParameters> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let mut pairs = Pairs::parse(parts.uri.query().unwrap_or_default().as_bytes())?;
        let taken = T::take(&mut pairs)?;
        match pairs.left() {
            None => Ok(Self(taken)),
            Some(name) => Err(Problem::invalid(
                "unknown-parameter",
                name,
                format!("there is no parameter `{name}` here"),
            )),
        }
    }
}

/// No parameter at all.
impl QueryParameters for () {
    fn take(_: &mut Pairs) -> Result<Self, Problem> {
        Ok(())
    }
}
