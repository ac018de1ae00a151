//! How values look in every JSON document: times, lists, and the answer around them. Knows no route.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// The media type of all of them.
pub(crate) const MEDIA_TYPE: &str = "application/json";

/// A moment: unix milliseconds, written as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) i64);

impl Time {
    fn spell(self) -> Option<String> {
        Some(format!("{:.3}", Timestamp::from_millisecond(self.0).ok()?))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.spell().serialize(serializer)
    }
}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

impl ToSchema for Time {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Time")
    }
}

/// Values of a series, one per step: a number, `null` for a gap, `"+Inf"` and `"-Inf"` for what JSON has no number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Values(pub(crate) Vec<Option<f64>>);

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for value in &self.0 {
            match value {
                Some(value) if *value == f64::INFINITY => list.serialize_element("+Inf")?,
                Some(value) if *value == f64::NEG_INFINITY => list.serialize_element("-Inf")?,
                value => list.serialize_element(value)?,
            }
        }
        list.end()
    }
}

impl PartialSchema for Values {
    fn schema() -> RefOr<Schema> {
        let value = SchemaType::from_iter([Type::Number, Type::String, Type::Null]);
        ArrayBuilder::new().items(ObjectBuilder::new().schema_type(value)).into()
    }
}

impl ToSchema for Values {}

/// A list, or one page of it.
#[derive(Debug, Serialize)]
pub(crate) struct List<T> {
    /// What is in it, in a fixed order.
    pub(crate) items: Vec<T>,
    /// Give this as `after` for the next page; `null` on the last one.
    pub(crate) next: Option<String>,
}

impl<T> List<T> {
    /// A page of at most `limit`, made from one more than that where there is more; `key` names an item.
    pub(crate) fn page(mut items: Vec<T>, limit: usize, key: impl Fn(&T) -> String) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = more.then(|| items.last().map(&key)).flatten();
        Self { items, next }
    }
}

/// A JSON answer with status 200.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        answer(StatusCode::OK, &self.0)
    }
}

/// A JSON answer.
pub(crate) fn answer<T: Serialize>(status: StatusCode, body: &T) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => document(status, MEDIA_TYPE, Body::from(bytes)),
        Err(error) => {
            tracing::error!(%error, "a document cannot be written as JSON");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// An answer that nobody may keep or guess the type of.
pub(crate) fn document(status: StatusCode, media_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
