//! Several writes of records as one. For customers.

use access::{Action, Resource};
use axum::{
    Json,
    extract::{FromRequest, Request, State},
    response::{IntoResponse, Response},
};
use base::{RecordId, RepositoryId};
use serde::{Deserialize, de::IgnoredAny};
use utoipa::ToSchema;
use vault::{BatchOperation, NewRecord};

use crate::{
    App,
    caller::Caller,
    extract::{JsonBatch, Once, Path, members},
    problem::Problem,
    routes::records::{described as record, replayed},
    schema::{IdempotencyKeyText, RepositoryIdText},
};

/// How batches look in the OpenAPI document. None is ever built.
pub(crate) mod described {
    use super::{Deserialize, RepositoryIdText, ToSchema, record};
    use crate::schema::{AnyObject, LevelText, RecordIdText};

    /// A batch.
    #[derive(Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    #[schema(example = json!({"operations": [
        {"op": "create", "body": {"number": "2026-8"}},
        {"op": "delete", "id": "rec_01knk0m3a0e9x8c5m3q8d2v7zt", "version": 3}
    ]}))]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct Batch {
        /// The writes, done in this order, all or none.
        #[schema(min_items = 1, max_items = 1_000)]
        operations: Vec<BatchItem>,
    }

    /// One write of a batch.
    #[derive(Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct BatchItem {
        /// What to do.
        op: BatchOp,
        /// The record; not with `create`.
        #[schema(nullable = false, required = false, value_type = RecordIdText)]
        id: Option<String>,
        /// The record's body, or the merge patch (RFC 7396); not with `delete`.
        #[schema(nullable = false, required = false, value_type = AnyObject)]
        body: Option<serde_json::Value>,
        /// Its label; not with `delete`.
        #[schema(nullable = false, required = false, value_type = LevelText)]
        classification: Option<String>,
        /// The version that it must still have; not with `create`.
        #[schema(nullable = false, minimum = 1)]
        version: Option<u64>,
    }

    /// What a write of a batch does.
    #[derive(Deserialize, ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub(crate) enum BatchOp {
        /// Stores a record.
        Create,
        /// Replaces a record.
        Replace,
        /// Changes a record in part.
        Patch,
        /// Deletes a record.
        Delete,
    }

    /// What became of a batch.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct BatchWritten {
        /// The repository.
        #[schema(value_type = RepositoryIdText)]
        repository: String,
        /// What became of each write, in their order.
        records: Vec<record::Written>,
    }
}

/// A batch, as parsed. The bodies are taken from the text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    operations: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    op: Op,
    #[serde(default)]
    id: Option<RecordId>,
    #[serde(default)]
    body: Option<IgnoredAny>,
    #[serde(default)]
    classification: Option<String>,
    #[serde(default)]
    version: Option<u64>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Op {
    Create,
    Replace,
    Patch,
    Delete,
}

impl Op {
    /// What it is when it comes alone.
    const fn action(self) -> Action {
        match self {
            Self::Create => Action::RecordCreate,
            Self::Replace => Action::RecordUpdate,
            Self::Patch => Action::RecordPatch,
            Self::Delete => Action::RecordDelete,
        }
    }
}

/// Does up to 1,000 writes as one: all of them happen, or none.
#[utoipa::path(post, path = "/v1/repositories/{repository}/records/batch", operation_id = "write_batch",
    params(
        ("repository" = RepositoryIdText, Path),
        ("Idempotency-Key" = inline(Option<IdempotencyKeyText>), Header, description = "Sent again, it is done once."),
    ),
    request_body = described::Batch,
    responses((status = 200, description = "All are done.", body = described::BatchWritten)))]
pub(crate) async fn write(
    State(app): State<App>,
    caller: Caller,
    Path(repository): Path<RepositoryId>,
    once: Once,
    request: Request,
) -> Result<Response, Problem> {
    let (scope, mut decided) = caller.within(&app, repository, Resource::new()).await?;
    // Only now: nobody makes the server hold 16 MiB who may not write at all.
    let JsonBatch(batch, text) = JsonBatch::<Batch>::from_request(request, &app).await?;
    // Each kind of write in it is authorized as it would be alone.
    for op in [Op::Create, Op::Replace, Op::Patch, Op::Delete] {
        if batch.operations.iter().any(|item| item.op == op) {
            caller.also(&app, repository, op.action(), &mut decided).await?;
        }
    }
    let bodies = members(&text, "operations", "body").unwrap_or_default();
    if bodies.len() != batch.operations.len() {
        return Err(Problem::invalid(
            "malformed-json",
            "/operations",
            "write the member's name without escapes",
        ));
    }
    let mut operations = Vec::with_capacity(batch.operations.len());
    for (index, (item, range)) in batch.operations.iter().zip(bodies).enumerate() {
        let body = range.and_then(|range| text.get(range));
        operations.push(operation(item, body).map_err(|(member, words)| {
            Problem::invalid("invalid-field", &format!("/operations/{index}/{member}"), words)
        })?);
    }
    let written =
        app.vault().record_batch(scope, repository, &operations, once.with(&text), &decided).await?;
    Ok(replayed(Json(&*written).into_response(), written.replayed))
}

/// One write; the member at fault and what is wrong with it otherwise.
fn operation<'a>(
    item: &'a Item,
    body: Option<&'a [u8]>,
) -> Result<BatchOperation<'a>, (&'static str, &'static str)> {
    if item.body.is_some() != body.is_some() {
        return Err(("body", "give one JSON object, and write the member's name without escapes"));
    }
    if item.op == Op::Create {
        if item.id.is_some() {
            return Err(("id", "a record that is created gets its id here: leave it out"));
        }
        if item.version.is_some() {
            return Err(("version", "a record that is created has no version yet: leave it out"));
        }
    }
    if item.op == Op::Delete && body.is_some() {
        return Err(("body", "a deletion has no body: leave it out"));
    }
    if item.op == Op::Delete && item.classification.is_some() {
        return Err(("classification", "a deletion gives no label: leave it out"));
    }
    let id = || item.id.ok_or(("id", "say which record"));
    let new = || {
        let body = body.ok_or(("body", "give the record's body"));
        body.map(|body| NewRecord { body, classification: item.classification.as_deref() })
    };
    Ok(match item.op {
        Op::Create => BatchOperation::Create(new()?),
        Op::Replace => BatchOperation::Replace(id()?, new()?, item.version),
        Op::Patch => BatchOperation::Patch(id()?, new()?, item.version),
        Op::Delete => BatchOperation::Delete(id()?, item.version),
    })
}
