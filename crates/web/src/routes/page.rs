//! Pages of lists that operators see, by the id of the last thing on the page before.

use base::{Id, IdKind};

use crate::{
    extract::{Pairs, QueryParameters},
    problem::Problem,
};

/// Things on a page if the caller doesn't say.
const DEFAULT: u32 = 100;

/// Where a page starts, and how long it is.
pub(crate) struct After<K> {
    /// After this.
    pub(crate) after: Option<Id<K>>,
    /// At most so many.
    pub(crate) limit: u32,
}

impl<K: IdKind> QueryParameters for After<K> {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        let after = pairs.take_parsed("after")?;
        let limit = pairs.take_number("limit", 1, access::MAX_PAGE)?.unwrap_or(DEFAULT);
        Ok(Self { after, limit })
    }
}
