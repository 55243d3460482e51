//! What goes wrong with a request, as JSON: `{"error":{"message":...}}`. It must not know the routes.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use crate::{
    contract::{Candidate, Reason, Refusal},
    node::store::StoreError,
};

#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    message: String,
    candidates: Vec<Candidate>,
}

impl ApiError {
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub fn only_get() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "only GET is answered: nothing can be changed here",
        )
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), candidates: Vec::new() }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::Ambiguous { candidates, .. } => {
                Self { status: StatusCode::CONFLICT, message, candidates }
            }
            StoreError::Absent(_)
            | StoreError::Open { .. }
            | StoreError::Irregular(_)
            | StoreError::Newer { .. }
            | StoreError::Older { .. }
            | StoreError::Sqlite(_)
            | StoreError::Thread(_)
            | StoreError::Json(_) => Self::unavailable(message),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self { status, message, candidates } = self;
        (status, Json(Refusal { error: Reason { message, candidates } })).into_response()
    }
}
