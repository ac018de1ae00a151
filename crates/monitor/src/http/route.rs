//! One line of the route table: what is asked, who may ask, who answers and in what shape. Decides nothing; the
//! guard keeps it and `/openapi.json` prints it.

use super::json;
use crate::app::App;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr, Schema};

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Everyone who reaches the port.
    Probe,
    /// Callers on this machine, or everyone where the configuration says so.
    Read,
    /// Who holds the operator's token.
    Operate,
}

impl Class {
    /// The word of the design, the log and the documents.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Read => "read",
            Self::Operate => "operate",
        }
    }
}

/// A parameter of a query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Param {
    /// Its name.
    pub(crate) name: &'static str,
    /// How it is written.
    pub(crate) kind: Kind,
    /// What it does, unit and default included.
    pub(crate) about: &'static str,
    /// There is no default.
    pub(crate) required: bool,
}

/// How a parameter is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// Any text, as often as one likes.
    Texts,
    /// A whole number within these.
    Number(u64, u64),
    /// `15s`, `500ms`, `5m`, `1h`, `7d`.
    Duration,
    /// RFC 3339, `now`, or so long before now: `-15m`.
    Time,
    /// One of these words.
    Word(&'static [&'static str]),
}

impl Param {
    /// A parameter.
    pub(crate) const fn new(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, about, required: false }
    }

    /// One that must be given.
    pub(crate) const fn required(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, about, required: true }
    }
}

/// Schemas by their names.
pub(crate) type Schemas = Vec<(String, RefOr<Schema>)>;

/// What comes back when all is well.
#[derive(Clone, Copy)]
pub(crate) struct Gives {
    /// Its media type.
    pub(crate) media_type: &'static str,
    /// Its shape, and the shapes that it names; none for text.
    pub(crate) schema: Option<fn(&mut Schemas) -> RefOr<Schema>>,
}

/// One line of the table.
pub(crate) struct Route {
    /// The method.
    pub(crate) method: Method,
    /// The path, with its parameters in braces.
    pub(crate) path: &'static str,
    /// Who may ask.
    pub(crate) class: Class,
    /// What it is, in one line.
    pub(crate) summary: &'static str,
    /// The parameters of its query; any other is refused.
    pub(crate) asks: &'static [Param],
    /// The shape of its body, and the shapes that it names; `None` where it takes none.
    pub(crate) takes: Option<fn(&mut Schemas) -> RefOr<Schema>>,
    /// What comes back.
    pub(crate) gives: Gives,
    /// Answers 503 with the same shape when the news is bad.
    pub(crate) may_be_down: bool,
    /// Who answers; `None` where the process's own probe router does.
    pub(crate) serve: Option<MethodRouter<Arc<App>>>,
}

fn schema_of<T: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
    RefOr::Ref(Ref::from_schema_name(T::name()))
}

fn array_of<T: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    ArrayBuilder::new().items(schema_of::<T>(schemas)).into()
}

fn list_of<T: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    let next = ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .description(Some("Give this as `after` for the next page; `null` on the last one."));
    ObjectBuilder::new()
        .property("items", array_of::<T>(schemas))
        .property("next", next)
        .required("items")
        .required("next")
        .into()
}

impl Route {
    fn new(method: Method, path: &'static str, class: Class, summary: &'static str) -> Self {
        let gives = Gives { media_type: json::MEDIA_TYPE, schema: None };
        Self { method, path, class, summary, asks: &[], takes: None, gives, may_be_down: false, serve: None }
    }

    /// Answered by the probe router that every process has.
    pub(crate) fn own(path: &'static str, summary: &'static str) -> Self {
        Self { may_be_down: true, ..Self::new(Method::GET, path, Class::Probe, summary) }
    }

    /// GET, and HEAD with it.
    pub(crate) fn get<H, T>(path: &'static str, class: Class, handler: H, summary: &'static str) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        let serve = Some(on(MethodFilter::GET, handler));
        Self { serve, ..Self::new(Method::GET, path, class, summary) }
    }

    /// POST.
    pub(crate) fn post<H, T>(path: &'static str, class: Class, handler: H, summary: &'static str) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        let serve = Some(on(MethodFilter::POST, handler));
        Self { serve, ..Self::new(Method::POST, path, class, summary) }
    }

    /// DELETE.
    pub(crate) fn delete<H, T>(path: &'static str, class: Class, handler: H, summary: &'static str) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        let serve = Some(on(MethodFilter::DELETE, handler));
        Self { serve, ..Self::new(Method::DELETE, path, class, summary) }
    }

    /// With these parameters in its query.
    pub(crate) fn asks(mut self, params: &'static [Param]) -> Self {
        self.asks = params;
        self
    }

    /// With a JSON document of this shape as its body.
    pub(crate) fn takes<T: ToSchema>(mut self) -> Self {
        self.takes = Some(schema_of::<T>);
        self
    }

    /// A JSON document of this shape comes back.
    pub(crate) fn gives<T: ToSchema>(mut self) -> Self {
        self.gives.schema = Some(schema_of::<T>);
        self
    }

    /// A list of these comes back, page by page.
    pub(crate) fn lists<T: ToSchema>(mut self) -> Self {
        self.gives.schema = Some(list_of::<T>);
        self
    }

    /// A bare array of these comes back.
    pub(crate) fn array<T: ToSchema>(mut self) -> Self {
        self.gives.schema = Some(array_of::<T>);
        self
    }

    /// A text of this media type comes back.
    pub(crate) fn text(mut self, media_type: &'static str) -> Self {
        self.gives.media_type = media_type;
        self
    }

    /// Says 503 when the news is bad.
    pub(crate) fn may_be_down(mut self) -> Self {
        self.may_be_down = true;
        self
    }
}
