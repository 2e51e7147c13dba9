//! The OpenAPI 3.1 document, from the handlers' own descriptions. Here is added what every route shares:
//! who may call it, the problems that it can answer with, and the headers of every answer.

use access::{ScopeSet, TokenScope};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Components, ComponentsBuilder, ContentBuilder, HeaderBuilder, InfoBuilder, LicenseBuilder,
        ObjectBuilder, OpenApi, OpenApiBuilder, PathItem, PathsBuilder, Ref, RefOr, Response,
        ResponseBuilder, ServerBuilder,
        path::{HttpMethod, Operation},
        schema::{SchemaType, Type},
        security::{
            ClientCredentials, Flow, Http, HttpAuthScheme, OAuth2, Scopes, SecurityRequirement,
            SecurityScheme,
        },
        tag::TagBuilder,
    },
};

use crate::{
    problem::{PROBLEM_JSON, ProblemBody},
    route::{Callers, Route, RouteInfo, Takes},
    routes::token::OauthError,
    schema::{EtagText, TilePathText},
};

/// The names of the security schemes.
const CLIENT: &str = "client";
const OPERATOR: &str = "operator";
const CLIENT_BASIC: &str = "client_basic";

/// What the tags mean, in the order in which they are shown.
const TAGS: [(&str, &str); 11] = [
    ("health", "Whether the server lives, is ready, and how it does."),
    ("log", "The log of all acts, for anybody to verify (C2SP tlog-tiles)."),
    ("tokens", "Access tokens: OAuth 2 client credentials."),
    ("operators", "The people who operate Tenet, and how they enrol."),
    ("accounts", "Customers, and their applications."),
    ("keys", "The key hierarchy: its state and its rotation."),
    ("repositories", "Where records and objects are kept: classification, schedule, schema."),
    ("records", "JSON records, with every version."),
    ("objects", "Bytes of any length."),
    ("holds", "Legal holds."),
    ("certificates", "Certificates of deletion."),
];

/// Each problem that routes share: status, name of the component, what it means.
const PROBLEMS: [(&str, &str, &str); 15] = [
    ("400", "Invalid", "The request is malformed, or breaks a rule of its own."),
    ("401", "Unauthenticated", "Who calls is not established."),
    ("403", "Denied", "Known, and not allowed."),
    ("404", "NotFound", "There is no such thing, or it is another account's."),
    ("408", "Slow", "The body came too slowly."),
    ("409", "Conflict", "The state does not allow it now."),
    ("411", "LengthRequired", "The body's length is not told."),
    ("412", "PreconditionFailed", "It is not in the state that the caller expects."),
    ("413", "TooLarge", "The request is larger than the limit."),
    ("415", "MediaType", "The body is of another media type."),
    ("416", "Range", "The range lies outside the object."),
    ("429", "TooMany", "More requests than are served."),
    ("500", "Internal", "A fault of the server's."),
    ("503", "Unavailable", "A part that this needs does not answer; nothing was changed."),
    ("507", "Full", "No space is left; reads go on."),
];

/// The document of these routes.
pub(crate) fn document(routes: &[Route], version: &str) -> OpenApi {
    let mut paths = PathsBuilder::new().build();
    let mut schemas = vec![
        (ProblemBody::name().into_owned(), ProblemBody::schema()),
        (OauthError::name().into_owned(), OauthError::schema()),
        // Named by parameters and headers, whose schemas the handlers' descriptions don't bring along.
        (EtagText::name().into_owned(), EtagText::schema()),
        (TilePathText::name().into_owned(), TilePathText::schema()),
    ];
    for route in routes {
        let Some(described) = operation(route) else { continue };
        let item = PathItem::new(http_method(route.info.method), described);
        let kept = paths.paths.entry(route.info.path.clone()).or_default();
        kept.merge_operations(item);
        schemas.extend(route.schemas.iter().cloned());
    }
    let info = InfoBuilder::new()
        .title("Tenet")
        .version(version)
        .description(Some(
            "Keeps customers apart, seals their data with the company's keys, and records every act. \
             The account of a call is the one that is signed into its token; no request names one.",
        ))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([ServerBuilder::new().url("/").build()]))
        .paths(paths)
        .components(Some(components(schemas)))
        .tags(Some(TAGS.map(|(name, text)| TagBuilder::new().name(name).description(Some(text)).build())))
        .build()
}

fn http_method(method: &str) -> HttpMethod {
    match method {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn operation(route: &Route) -> Option<Operation> {
    let mut operation = route.operation.clone()?;
    let info = &route.info;
    for (status, name, description) in PROBLEMS {
        if !can_answer(info, status) || operation.responses.responses.contains_key(status) {
            continue;
        }
        let response = if info.oauth && matches!(status, "400" | "401") {
            RefOr::T(oauth_response(description))
        } else {
            RefOr::Ref(Ref::from_response_name(name))
        };
        operation.responses.responses.insert(status.to_owned(), response);
    }
    operation.security = Some(security(info));
    operation.tags = Some(vec![info.subsystem.to_owned()]);
    Some(operation)
}

/// Whether a route can answer with a status. The one place that says so; handlers' own answers are in
/// their descriptions.
fn can_answer(info: &RouteInfo, status: &str) -> bool {
    let body = info.takes != Takes::Nothing;
    match status {
        "400" => true,
        "401" => info.needs_token() || info.callers == Callers::SigningIn,
        "403" => info.needs_token() || info.oauth,
        "404" => info.finds,
        "408" | "413" => body,
        "409" => info.conflicts,
        "411" => info.takes == Takes::Stream,
        "412" => info.preconditions,
        "415" => info.takes == Takes::Document,
        "416" => info.ranges,
        "429" | "500" | "503" => true,
        "507" => info.changes || info.needs_token() || info.callers == Callers::SigningIn,
        _ => false,
    }
}

fn security(info: &RouteInfo) -> Vec<SecurityRequirement> {
    let none: [&str; 0] = [];
    match info.callers {
        Callers::Anyone => vec![SecurityRequirement::default()],
        Callers::SigningIn if info.oauth => {
            vec![SecurityRequirement::new(CLIENT_BASIC, none), SecurityRequirement::default()]
        }
        Callers::SigningIn => vec![SecurityRequirement::default()],
        Callers::Client(_) => vec![SecurityRequirement::new(CLIENT, none)],
        Callers::Operator(_) | Callers::Visitor(_) => vec![SecurityRequirement::new(OPERATOR, none)],
        Callers::Either => {
            vec![SecurityRequirement::new(CLIENT, none), SecurityRequirement::new(OPERATOR, none)]
        }
    }
}

fn components(schemas: Vec<(String, RefOr<utoipa::openapi::Schema>)>) -> Components {
    let scopes: Scopes = ScopeSet::all().iter().map(|scope| (scope.name(), scope_text(scope))).collect();
    let flow = Flow::ClientCredentials(ClientCredentials::new("/v1/token", scopes));
    let bearer = |text: &str| {
        let mut http = Http::new(HttpAuthScheme::Bearer);
        http.bearer_format = Some("JWT".to_owned());
        http.description = Some(text.to_owned());
        SecurityScheme::Http(http)
    };
    let mut basic = Http::new(HttpAuthScheme::Basic);
    basic.description =
        Some("The client's id and secret, at the token endpoint alone (RFC 6749 2.3.1).".to_owned());
    let mut builder = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme(
            CLIENT,
            SecurityScheme::OAuth2(OAuth2::with_description([flow], "A customer's application.")),
        )
        .security_scheme(OPERATOR, bearer("An operator's token: it never opens customers' data."))
        .security_scheme(CLIENT_BASIC, SecurityScheme::Http(basic));
    for (status, name, description) in PROBLEMS {
        builder = builder.response(name, problem_response(status, description));
    }
    builder.build()
}

fn scope_text(scope: TokenScope) -> &'static str {
    match scope {
        TokenScope::RecordsRead => "Read, list, search and explain records.",
        TokenScope::RecordsWrite => "Create, replace and patch records.",
        TokenScope::RecordsDelete => "Delete records, and restore them within the window.",
        TokenScope::RecordsErase => "Erase records beyond recovery.",
        TokenScope::ObjectsRead => "Read, list and explain objects.",
        TokenScope::ObjectsWrite => "Store objects.",
        TokenScope::ObjectsDelete => "Delete objects, and restore them within the window.",
        TokenScope::ObjectsErase => "Erase objects beyond recovery.",
        TokenScope::HoldsWrite => "Set and lift legal holds.",
        TokenScope::RepositoriesRead => "Read and list repositories.",
        TokenScope::RepositoriesWrite => "Create and change repositories.",
    }
}

fn problem_response(status: &str, description: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ProblemBody::name()))).build();
    let mut builder = ResponseBuilder::new().description(description).content(PROBLEM_JSON, content);
    if matches!(status, "429" | "503" | "507") {
        let seconds =
            ObjectBuilder::new().schema_type(SchemaType::Type(Type::Integer)).minimum(Some(1)).build();
        let header = HeaderBuilder::new()
            .schema(Some(seconds))
            .description(Some("Seconds after which to try again."))
            .build();
        builder = builder.header("Retry-After", header);
    }
    if status == "401" {
        builder = builder.header("WWW-Authenticate", challenge_header());
    }
    builder.build()
}

fn challenge_header() -> utoipa::openapi::header::Header {
    let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).build();
    HeaderBuilder::new()
        .schema(Some(text))
        .description(Some("How to authenticate (RFC 9110 11.6.1)."))
        .build()
}

fn oauth_response(description: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(OauthError::name()))).build();
    ResponseBuilder::new().description(description).content("application/json", content).build()
}
