//! What goes into a statement and what comes out: five kinds of value, the same on both engines.

use base::{Duration, Id, IdKind, Timestamp};

use crate::StoreError;

/// A parameter of a statement. Truth is 0 or 1; instants and spans are microseconds; ids are 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// A 64-bit integer.
    Int(i64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

/// A value read from a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owned {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

/// One row of an answer. Columns are counted from 0, in the order of the statement's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(pub(crate) Vec<Owned>);

macro_rules! value_from {
    ($($source:ty => |$name:ident| $value:expr;)*) => {$(
        impl<'a> From<$source> for Value<'a> {
            fn from($name: $source) -> Self {
                $value
            }
        }
    )*};
}

value_from! {
    i64 => |value| Self::Int(value);
    i32 => |value| Self::Int(i64::from(value));
    u32 => |value| Self::Int(i64::from(value));
    bool => |value| Self::Int(i64::from(value));
    &'a str => |value| Self::Text(value);
    &'a String => |value| Self::Text(value);
    &'a [u8] => |value| Self::Blob(value);
    &'a Vec<u8> => |value| Self::Blob(value);
    Timestamp => |value| Self::Int(value.micros());
    Duration => |value| Self::Int(value.micros());
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(value: &'a [u8; N]) -> Self {
        Self::Blob(value)
    }
}

impl<'a, K: IdKind> From<&'a Id<K>> for Value<'a> {
    fn from(id: &'a Id<K>) -> Self {
        Self::Blob(id.as_bytes())
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Row {
    fn at(&self, column: usize) -> Result<&Owned, StoreError> {
        self.0.get(column).ok_or(StoreError::Shape("a column that the statement does not return"))
    }
    /// The integer in a column that is never null.
    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        self.opt_int(column)?.ok_or(StoreError::Shape("an integer"))
    }
    /// The integer in a column, if any.
    pub fn opt_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self.at(column)? {
            Owned::Int(value) => Ok(Some(*value)),
            Owned::Null => Ok(None),
            _ => Err(StoreError::Shape("an integer")),
        }
    }
    /// A count or a size: an integer that is not negative.
    pub fn count(&self, column: usize) -> Result<u64, StoreError> {
        u64::try_from(self.int(column)?).map_err(|_| StoreError::Shape("a number that is not negative"))
    }
    /// Whether the column holds 1.
    pub fn bool(&self, column: usize) -> Result<bool, StoreError> {
        Ok(self.int(column)? != 0)
    }
    /// The text in a column that is never null.
    pub fn text(&self, column: usize) -> Result<&str, StoreError> {
        self.opt_text(column)?.ok_or(StoreError::Shape("text"))
    }
    /// The text in a column, if any.
    pub fn opt_text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        match self.at(column)? {
            Owned::Text(value) => Ok(Some(value)),
            Owned::Null => Ok(None),
            _ => Err(StoreError::Shape("text")),
        }
    }
    /// The bytes in a column that is never null.
    pub fn blob(&self, column: usize) -> Result<&[u8], StoreError> {
        self.opt_blob(column)?.ok_or(StoreError::Shape("bytes"))
    }
    /// The bytes in a column, if any.
    pub fn opt_blob(&self, column: usize) -> Result<Option<&[u8]>, StoreError> {
        match self.at(column)? {
            Owned::Blob(value) => Ok(Some(value)),
            Owned::Null => Ok(None),
            _ => Err(StoreError::Shape("bytes")),
        }
    }
    /// The id in a column that is never null.
    pub fn id<K: IdKind>(&self, column: usize) -> Result<Id<K>, StoreError> {
        Id::from_slice(self.blob(column)?).map_err(|_| StoreError::Shape("an id of 16 bytes"))
    }
    /// The id in a column, if any.
    pub fn opt_id<K: IdKind>(&self, column: usize) -> Result<Option<Id<K>>, StoreError> {
        let parse = |bytes| Id::from_slice(bytes).map_err(|_| StoreError::Shape("an id of 16 bytes"));
        self.opt_blob(column)?.map(parse).transpose()
    }
    /// The instant in a column that is never null.
    pub fn time(&self, column: usize) -> Result<Timestamp, StoreError> {
        Ok(Timestamp::from_micros(self.int(column)?))
    }
    /// The instant in a column, if any.
    pub fn opt_time(&self, column: usize) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.opt_int(column)?.map(Timestamp::from_micros))
    }
}
