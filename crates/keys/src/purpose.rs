//! What a key is used for. Each use counts under its purpose (CD-6).

/// What a key is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// To seal something new.
    Write,
    /// To open something for whoever asked for it.
    Read,
    /// To open what a list shows.
    List,
    /// To find by a blind index, or to write its entries.
    Index,
    /// To open what is about to be erased.
    Erase,
    /// To export, or to check that what is stored still opens.
    Verify,
    /// To wrap keys anew in a rotation.
    Rotate,
    /// To seal or open from where and with which tool somebody acts.
    Context,
    /// Tenet's own secrets: signing keys, cursors.
    Platform,
}

impl Purpose {
    /// The word that stands in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Read => "read",
            Self::List => "list",
            Self::Index => "index",
            Self::Erase => "erase",
            Self::Verify => "verify",
            Self::Rotate => "rotate",
            Self::Context => "context",
            Self::Platform => "platform",
        }
    }
}
