//! Refuses requests for a foreign host (DNS rebinding): a web page can make its own name resolve to
//! 127.0.0.1, but it cannot make a browser send another `Host`. It must not know the routes.

use axum::{
    extract::Request,
    http::{header::HOST, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::error::ApiError;

pub async fn only_local(request: Request, next: Next) -> Response {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    let local = host.is_some_and(is_local)
        && hosts.next().is_none()
        && request.uri().authority().is_none_or(|authority| is_local(authority.as_str()));
    if !local {
        let message = "only requests for localhost, 127.0.0.1 or [::1] are answered";
        return ApiError::forbidden(message).into_response();
    }
    next.run(request).await
}

fn is_local(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    !host.contains('@')
        && (name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1" || name == "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_local() {
        for host in ["localhost", "localhost:80", "LOCALHOST", "127.0.0.1:9", "[::1]", "[::1]:9"] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.2",
            "10.0.0.1:80",
            "localhost@evil.example",
            "evil@localhost",
            "[::2]",
            "0.0.0.0",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
