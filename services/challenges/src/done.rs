//! The answer of what has nothing else to say.

use serde::Serialize;

/// It is done.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Done {
    success: bool,
    message: String,
    /// Nothing: clients look for it.
    data: Option<bool>,
}

impl Done {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            success: true,
            message: message.into(),
            data: None,
        }
    }
}
