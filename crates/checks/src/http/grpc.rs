//! Whether a gRPC server gave an answer: to HTTP it says 200 whatever happened, its own status stands in a header.

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use reqwest::{Response, StatusCode};

/// Whether this is the answer of a gRPC port to a question that was not gRPC's.
#[must_use]
pub fn answers(response: &Response) -> bool {
    let headers = response.headers();
    let begins = |name: HeaderName| {
        let value = headers.get(name).map(|value| value.as_bytes()).unwrap_or_default();
        value.get(..16).is_some_and(|start| start.eq_ignore_ascii_case(b"application/grpc"))
    };
    // Farol's own ports refuse what is not gRPC and say what they accept.
    let refuses = response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE && begins(ACCEPT);
    refuses || (begins(CONTENT_TYPE) && headers.contains_key("grpc-status"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and values.
    type Headers = [(&'static str, &'static str)];

    #[test]
    fn a_grpc_port_is_known_by_its_headers() {
        let table: [(u16, &Headers, bool); 6] = [
            (200, &[("content-type", "application/grpc"), ("grpc-status", "12")], true),
            (200, &[("content-type", "application/grpc+proto"), ("grpc-status", "12")], true),
            (200, &[("content-type", "application/grpc")], false),
            (200, &[("content-type", "application/json"), ("grpc-status", "0")], false),
            (415, &[("content-type", "text/plain"), ("accept", "application/grpc")], true),
            (415, &[("content-type", "text/plain"), ("accept", "application/json")], false),
        ];
        for (status, headers, expected) in table {
            let mut answer = http::Response::builder().status(status);
            for (name, value) in headers {
                answer = answer.header(*name, *value);
            }
            let answer = Response::from(answer.body("").unwrap());
            assert_eq!(answers(&answer), expected, "{status} {headers:?}");
        }
    }
}
