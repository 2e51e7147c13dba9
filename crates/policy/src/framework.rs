//! The frameworks that ask for a data protection policy. Of their texts only the identifiers of controls are here.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A framework.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Framework {
    /// ISO/IEC 27001:2022, Annex A.
    Iso27001,
    /// SOC 2: the Trust Services Criteria of 2017.
    Soc2,
    /// NIST SP 800-53, revision 5.
    #[serde(rename = "nist80053")]
    Nist80053,
    /// HIPAA Security Rule, 45 CFR 164.
    Hipaa,
    /// GDPR, Regulation (EU) 2016/679.
    Gdpr,
}

impl Framework {
    /// Every framework.
    pub const ALL: [Self; 5] = [Self::Iso27001, Self::Soc2, Self::Nist80053, Self::Hipaa, Self::Gdpr];

    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Iso27001 => "iso27001",
            Self::Soc2 => "soc2",
            Self::Nist80053 => "nist80053",
            Self::Hipaa => "hipaa",
            Self::Gdpr => "gdpr",
        }
    }

    /// Its name, as people write it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Iso27001 => "ISO/IEC 27001:2022",
            Self::Soc2 => "SOC 2",
            Self::Nist80053 => "NIST SP 800-53 Rev. 5",
            Self::Hipaa => "HIPAA Security Rule",
            Self::Gdpr => "GDPR",
        }
    }
}

impl fmt::Display for Framework {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Framework {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("`{text}` is no framework that is known: give one of {known}")
        })
    }
}
