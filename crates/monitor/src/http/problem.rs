//! Errors as readers see them: RFC 9457 problem documents with a stable code and what to do. Which error fits is
//! decided where it happens.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::borrow::Cow;
use std::sync::Arc;

/// The media type of a problem document.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// An error answer.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    id: Option<Arc<str>>,
    header: Option<Box<(header::HeaderName, HeaderValue)>>,
}

/// The document itself.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Document<'a> {
    /// Always `about:blank`: `title` is the status's own phrase.
    r#type: &'static str,
    /// The HTTP status's phrase.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// A stable code that programs may match on.
    code: &'static str,
    /// What is wrong and what to do.
    detail: &'a str,
    /// With `not_recorded`: the id of what was made, and is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
}

impl Problem {
    /// An error with this status.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, detail: detail.into(), id: None, header: None }
    }

    /// The question itself is wrong.
    pub(crate) fn bad_request(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// There is no such thing.
    pub(crate) fn not_found(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// Too many at once; to be asked again soon.
    pub(crate) fn too_many(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail)
            .with(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// Its stable code.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// Adds what it is about.
    pub(crate) fn about(mut self, id: &Arc<str>) -> Self {
        self.id = Some(Arc::clone(id));
        self
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.header = Some(Box::new((name, value)));
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = Document {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            id: self.id.as_deref(),
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some(header) = self.header {
            let (name, value) = *header;
            headers.insert(name, value);
        }
        response
    }
}
