//! How ids, instants and names look in the OpenAPI document. Each is a type that stands for the text in
//! `value_type`; none is ever built.

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat,
        schema::{SchemaType, Type},
    },
};

/// One line a kind of text: type, pattern, example, description.
macro_rules! texts {
    ($($name:ident $pattern:literal $example:literal $description:literal;)*) => {$(
        #[doc = $description]
        pub(crate) enum $name {}
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(SchemaType::Type(Type::String))
                    .pattern(Some($pattern))
                    .description(Some($description))
                    .examples([$example])
                    .into()
            }
        }
        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )*};
}

texts! {
    AccountIdText "^acc_[0-7][0-9a-hjkmnp-tv-z]{25}$" "acc_01knk0m3a0e9x8c5m3q8d2v7zt" "The id of an account.";
    AlarmIdText "^alm_[0-7][0-9a-hjkmnp-tv-z]{25}$" "alm_01knk0m3a0e9x8c5m3q8d2v7zt" "The id of an alarm.";
    CertificateIdText "^crt_[0-7][0-9a-hjkmnp-tv-z]{25}$" "crt_01knk0m3a0e9x8c5m3q8d2v7zt" "The id of a certificate of deletion.";
    SubjectText "^(cli|opr)_[0-7][0-9a-hjkmnp-tv-z]{25}$" "cli_01knk0m3a0e9x8c5m3q8d2v7zt" "The id of a client or an operator.";
    ClientIdText "^cli_[0-7][0-9a-hjkmnp-tv-z]{25}$" "cli_01knk0m3a0e9x8c5m3q8d2v7zt" "The id of a client.";
    HoldIdText "^hld_[0-7][0-9a-hjkmnp-tv-z]{25}$" "hld_01knk0m3a0e9x8c5m3q8d2v7zt" "The id of a legal hold.";
    ObjectIdText "^obj_[0-7][0-9a-hjkmnp-tv-z]{25}$" "obj_01knk0m3a0e9x8c5m3q8d2v7zt" "The id of an object.";
    JobIdText "^job_[0-7][0-9a-hjkmnp-tv-z]{25}$" "job_01knk0m3a0e9x8c5m3q8d2v7zt" "The id of a job.";
    SessionIdText "^ses_[0-7][0-9a-hjkmnp-tv-z]{25}$" "ses_01knk0m3a0e9x8c5m3q8d2v7zt" "The id of a session of the console.";
    EventIdText "^evt_[0-7][0-9a-hjkmnp-tv-z]{25}$" "evt_01knk0m3a0e9x8c5m3q8d2v7zt" "The id of an event.";
    OperatorIdText "^opr_[0-7][0-9a-hjkmnp-tv-z]{25}$" "opr_01knk0m3a0e9x8c5m3q8d2v7zt" "The id of an operator.";
    RecordIdText "^rec_[0-7][0-9a-hjkmnp-tv-z]{25}$" "rec_01knk0m3a0e9x8c5m3q8d2v7zt" "The id of a record.";
    RepositoryIdText "^rep_[0-7][0-9a-hjkmnp-tv-z]{25}$" "rep_01knk0m3a0e9x8c5m3q8d2v7zt" "The id of a repository.";
    ActorText "^(anonymous|(cli|opr|srv)_[0-7][0-9a-hjkmnp-tv-z]{25})$" "cli_01knk0m3a0e9x8c5m3q8d2v7zt" "Who acted: a client, an operator, or a server of Tenet.";
    PublicKeyText "^[A-Za-z0-9_-]{43}$" "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" "An Ed25519 public key: 32 bytes in base64url without padding (RFC 8037).";
    ScopeText "^[a-z]+:[a-z]+( [a-z]+:[a-z]+)*$" "records:read records:write" "Scopes, separated by single spaces (RFC 6749 3.3).";
    HashText "^[0-9a-f]{64}$" "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" "SHA-256 in hexadecimal digits.";
    LevelText "^[a-z0-9-]{1,32}$" "confidential" "A classification: one of the installation's levels.";
    EtagText "^(\\*|\"[0-9]{1,18}\")$" "\"3\"" "An entity tag that was handed out as `ETag`, or `*`.";
    IdempotencyKeyText "^[!-~]{1,255}$" "8e03978e-40d5-43e8-bc93-6894a57f9324" "A key by which a request that is sent again is known: 1 to 255 visible ASCII characters.";
    CursorText "^[A-Za-z0-9_-]{1,64}$" "AAEC" "Where the next page begins: `next` of the page before. Good for the same listing alone.";
    TilePathText "^((entries|[0-9]|[1-5][0-9]|6[0-3])/(x[0-9]{3}/){0,6}[0-9]{3}(\\.p/([1-9][0-9]{0,2}))?)$" "0/000.p/1" "The path of a tile after `tile/` (C2SP tlog-tiles). It holds slashes.";
}

/// An instant: RFC 3339 in UTC with up to six digits of fraction.
pub(crate) enum InstantText {}

impl PartialSchema for InstantText {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("An instant: RFC 3339 in UTC."))
            .examples(["2026-01-31T09:30:00.000000Z"])
            .into()
    }
}

impl ToSchema for InstantText {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("InstantText")
    }
}

/// Any JSON object.
pub(crate) enum AnyObject {}

impl PartialSchema for AnyObject {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::Object))
            .description(Some("Any JSON object."))
            .into()
    }
}

impl ToSchema for AnyObject {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("AnyObject")
    }
}

/// Bytes of any kind.
pub(crate) enum Bytes {}

impl PartialSchema for Bytes {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
            .into()
    }
}

impl ToSchema for Bytes {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Bytes")
    }
}
