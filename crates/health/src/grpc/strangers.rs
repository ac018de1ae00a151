//! Requests that are not gRPC at a port that speaks nothing else: refused in words for people. To HTTP a gRPC server
//! says 200 whatever happened, and a probe that only looks at that would be green for ever.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};

/// Lets only gRPC through. Whoever asks in another way is told `words`: what this port is, and how to ask it or whom
/// to ask instead.
pub fn only(router: Router, words: &'static str) -> Router {
    router.layer(from_fn(move |request: Request, next: Next| async move {
        if is_grpc(request.headers()) { next.run(request).await } else { refusal(words) }
    }))
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind.get(..16).is_some_and(|start| start.eq_ignore_ascii_case(b"application/grpc"))
}

fn refusal(words: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::ACCEPT, "application/grpc"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, headers, format!("{words}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    #[tokio::test]
    async fn only_grpc_passes_and_others_are_told_what_this_port_is() {
        let router = only(Router::new().fallback(async || "passed"), "this port speaks gRPC only");
        for (kind, passes) in [
            (Some("application/grpc"), true),
            (Some("Application/gRPC+proto"), true),
            (Some("application/json"), false),
            (None, false),
        ] {
            let mut request = Request::builder().uri("/health");
            if let Some(kind) = kind {
                request = request.header(header::CONTENT_TYPE, kind);
            }
            let answer = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(answer.status() == StatusCode::OK, passes, "{kind:?}");
            if !passes {
                assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
                assert_eq!(answer.headers()[header::ACCEPT], "application/grpc");
                let body = answer.into_body().collect().await.unwrap().to_bytes();
                assert_eq!(body, "this port speaks gRPC only\n");
            }
        }
    }
}
