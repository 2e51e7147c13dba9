//! Cursors: where the next page of a listing starts. Opaque to the caller, and authenticated together
//! with the account, the repository and the filter, so that one made for another listing or by
//! anybody else is refused.

use base::{AccountId, RepositoryId, constant_time_eq};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{Vault, VaultError, vault::digest};

const FORMAT: u8 = 1;
const POSITION_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
/// Longest text of a cursor that is looked at.
const MAX_TEXT_BYTES: usize = 64;

/// Which listing a cursor belongs to.
pub(crate) struct Listing<'a> {
    pub(crate) account: AccountId,
    pub(crate) repository: Option<RepositoryId>,
    pub(crate) what: &'static str,
    pub(crate) filter: &'a [u8],
}

impl Vault {
    /// The cursor after `position`.
    pub(crate) fn cursor(&self, listing: &Listing<'_>, position: &[u8; POSITION_BYTES]) -> String {
        let mut bytes = vec![FORMAT];
        bytes.extend_from_slice(position);
        bytes.extend_from_slice(&self.tag(listing, position));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Where a page starts: after the cursor's position, or before everything.
    pub(crate) fn after(
        &self,
        listing: &Listing<'_>,
        cursor: Option<&str>,
    ) -> Result<[u8; POSITION_BYTES], VaultError> {
        let Some(cursor) = cursor else { return Ok([0; POSITION_BYTES]) };
        let (position, tag) = parse(cursor).ok_or(VaultError::Cursor)?;
        if constant_time_eq(&tag, &self.tag(listing, &position)) {
            Ok(position)
        } else {
            Err(VaultError::Cursor)
        }
    }

    fn tag(&self, listing: &Listing<'_>, position: &[u8]) -> [u8; TAG_BYTES] {
        let repository = listing.repository.as_ref().map_or(&[][..], |id| id.as_bytes());
        let parts: [&[u8]; 6] = [
            &[FORMAT],
            listing.account.as_bytes(),
            repository,
            listing.what.as_bytes(),
            listing.filter,
            position,
        ];
        let mut tag = [0u8; TAG_BYTES];
        tag.iter_mut().zip(digest(&self.0.secrets.cursor, &parts)).for_each(|(to, from)| *to = from);
        tag
    }
}

/// Whether a text has the form of a cursor, be it of any listing or of none: what the parser alone
/// says, before the tag is looked at.
pub fn has_cursor_form(text: &str) -> bool {
    parse(text).is_some()
}

/// Position and tag of a cursor's text.
fn parse(text: &str) -> Option<([u8; POSITION_BYTES], [u8; TAG_BYTES])> {
    if text.len() > MAX_TEXT_BYTES {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (format, rest) = bytes.split_first()?;
    let (position, tag) = rest.split_first_chunk::<POSITION_BYTES>()?;
    (*format == FORMAT).then_some((*position, tag.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_parsed_without_panic(text in ".{0,70}|[A-Za-z0-9_-]{44}") {
            if let Some((position, tag)) = parse(&text) {
                let mut bytes = vec![FORMAT];
                bytes.extend_from_slice(&position);
                bytes.extend_from_slice(&tag);
                prop_assert_eq!(URL_SAFE_NO_PAD.encode(bytes), text);
            }
        }
    }
}
