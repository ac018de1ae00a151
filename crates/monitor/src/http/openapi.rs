//! `/openapi.json`: the route table as an OpenAPI document. Says nothing that the table does not say.

use super::json::{self, Json};
use super::problem;
use super::route::{Class, Kind, Param, Route, Schemas};
use axum::http::Method;
use std::sync::LazyLock;
use utoipa::ToSchema;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ArrayBuilder, ComponentsBuilder, ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Paths, Ref, RefOr, Required, Response,
    ResponseBuilder, Schema,
};

/// The name of the scheme that `operate` routes ask for.
const TOKEN: &str = "operator_token";

pub(super) async fn document() -> Json<&'static OpenApi> {
    static DOCUMENT: LazyLock<OpenApi> = LazyLock::new(|| of(&super::table()));
    Json(&DOCUMENT)
}

/// The document of a table.
pub(super) fn of(table: &[Route]) -> OpenApi {
    let mut schemas: Schemas = vec![(problem::Document::name().into_owned(), problem_schema())];
    let mut paths = Paths::new();
    for route in table {
        let operation = operation(route, &mut schemas);
        paths.add_path_operation(route.path, vec![method(&route.method)], operation);
    }
    let info = InfoBuilder::new()
        .title("Farol monitor")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("The live health of the fleet. Errors are RFC 9457 problem documents."))
        .build();
    let bearer = SecurityScheme::Http(
        HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The token in `operator.token` in the monitor's data directory."))
            .build(),
    );
    let components =
        ComponentsBuilder::new().schemas_from_iter(schemas).security_scheme(TOKEN, bearer).build();
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components)).build()
}

fn problem_schema() -> RefOr<Schema> {
    <problem::Document<'_> as utoipa::PartialSchema>::schema()
}

fn method(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn operation(route: &Route, schemas: &mut Schemas) -> Operation {
    let mut operation = OperationBuilder::new()
        .summary(Some(route.summary))
        .description(Some(format!("Access: `{}`.", route.class.as_str())))
        .tag(route.class.as_str());
    for name in path_parameters(route.path) {
        operation = operation.parameter(path_parameter(name));
    }
    for param in route.asks {
        operation = operation.parameter(query_parameter(param));
    }
    if let Some(takes) = route.takes {
        let content = ContentBuilder::new().schema(Some(takes(schemas))).build();
        let body =
            RequestBodyBuilder::new().content(json::MEDIA_TYPE, content).required(Some(Required::True));
        operation = operation.request_body(Some(body.build()));
    }
    let good = good(route, schemas);
    if route.may_be_down {
        operation = operation.response("503", response("The same, when the news is bad", &good));
    }
    let status = if route.method == Method::DELETE { "204" } else { "200" };
    operation = operation.response(status, good).response("default", bad());
    if route.class == Class::Operate {
        operation = operation.security(SecurityRequirement::new(TOKEN, Vec::<String>::new()));
    }
    operation.build()
}

fn good(route: &Route, schemas: &mut Schemas) -> Response {
    let response = ResponseBuilder::new().description("All is well");
    if route.method == Method::DELETE {
        return response.build();
    }
    let schema = match route.gives.schema {
        Some(schema) => schema(schemas),
        None if route.gives.media_type == json::MEDIA_TYPE => ObjectBuilder::new().into(),
        None => ObjectBuilder::new().schema_type(Type::String).into(),
    };
    let content = ContentBuilder::new().schema(Some(schema)).build();
    response.content(route.gives.media_type, content).build()
}

/// The same answer under other words.
fn response(description: &str, like: &Response) -> Response {
    let mut response = like.clone();
    description.clone_into(&mut response.description);
    response
}

fn bad() -> Response {
    let schema = RefOr::Ref(Ref::from_schema_name(problem::Document::name()));
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .description("What is wrong, under a stable `code`, and what to do")
        .content(problem::MEDIA_TYPE, content)
        .build()
}

/// The names in braces.
pub(super) fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn path_parameter(name: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(match name {
            "id" => "Its id, as the list gives it.".to_owned(),
            "name" => "Its name, as the list gives it.".to_owned(),
            name => format!("The name of the {name}."),
        }))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}

fn query_parameter(param: &Param) -> Parameter {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let schema: RefOr<Schema> = match param.kind {
        Kind::Text => text().into(),
        Kind::Texts => ArrayBuilder::new().items(text()).into(),
        Kind::Number(least, most) => {
            ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least)).maximum(Some(most)).into()
        }
        Kind::Duration => text().pattern(Some("^[0-9]+(ms|s|m|h|d)$")).into(),
        Kind::Time => text().into(),
        Kind::Word(words) => text().enum_values(Some(words.iter().copied())).into(),
    };
    let how = match param.kind {
        Kind::Duration => " A duration: `500ms`, `15s`, `5m`, `1h` or `7d`.",
        Kind::Time => " A time: RFC 3339, `now`, or so long before now: `-15m`.",
        _ => "",
    };
    ParameterBuilder::new()
        .name(param.name)
        .parameter_in(ParameterIn::Query)
        .required(if param.required { Required::True } else { Required::False })
        .description(Some(format!("{}{how}", param.about)))
        .schema(Some(schema))
        .build()
}
