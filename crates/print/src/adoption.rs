//! That a document was adopted: what makes of a draft a policy.

use base::Timestamp;
use policy::Document;

use crate::PrintError;

/// Most people who are printed as approvers.
const MAX_APPROVERS: usize = 100;

/// Who adopted which document, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adoption {
    /// On which day: `2026-11-30`.
    pub adopted: String,
    /// Who approved it, by the names that are printed; one at least.
    pub approvers: Vec<String>,
    /// SHA-256 of the manifest that was adopted, in hexadecimal digits. Another document isn't printed as adopted.
    pub sha256: String,
}

impl Adoption {
    /// That this is an adoption of that document.
    pub(crate) fn fits(&self, document: &Document) -> Result<(), PrintError> {
        // The length first: the time of the standard may have other forms than the day that is printed.
        let is_day = self.adopted.len() == 10
            && self.adopted.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
            && format!("{}T00:00:00Z", self.adopted).parse::<Timestamp>().is_ok();
        if !is_day {
            return Err(PrintError::DayInvalid(self.adopted.escape_debug().to_string()));
        }
        if !(1..=MAX_APPROVERS).contains(&self.approvers.len()) {
            return Err(PrintError::ApproversInvalid { most: MAX_APPROVERS });
        }
        let sha256 = document.manifest().sha256;
        if self.sha256 != sha256 {
            return Err(PrintError::AnotherAdopted { document: sha256 });
        }
        Ok(())
    }
}
