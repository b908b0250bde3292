//! Forms with pictures, as a page sends them.

use flyers::seed::photo;
use serde_json::Value;

use crate::running::{Answer, Running};

const BOUNDARY: &str = "----a boundary of the tests";

/// A form in the making.
#[derive(Clone, Default)]
pub(crate) struct Form(Vec<u8>);

impl Form {
    /// With the fields of an object; what is not a text is written as JSON.
    pub(crate) fn of(fields: &Value) -> Self {
        let fields = fields.as_object().unwrap();
        fields.iter().fold(Self::default(), |form, (name, value)| {
            form.text(
                name,
                &value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned),
            )
        })
    }

    pub(crate) fn text(self, name: &str, text: &str) -> Self {
        self.part(&format!("name=\"{name}\""), text.as_bytes())
    }

    pub(crate) fn file(self, name: &str, content: &[u8]) -> Self {
        let head = format!("name=\"{name}\"; filename=\"{name}.jpg\"\r\nContent-Type: image/jpeg");
        self.part(&head, content)
    }

    fn part(mut self, head: &str, content: &[u8]) -> Self {
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n");
        self.0.extend_from_slice(head.as_bytes());
        self.0.extend_from_slice(content);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    pub(crate) fn kind() -> String {
        format!("multipart/form-data; boundary=\"{BOUNDARY}\"")
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [&self.0[..], format!("--{BOUNDARY}--\r\n").as_bytes()].concat()
    }
}

/// A small picture; another number, another picture.
pub(crate) fn picture(number: u32) -> Vec<u8> {
    photo(64, 48, number, 80).unwrap()
}

impl Running {
    /// Sends a form.
    pub(crate) fn send_form(&self, method: &str, path: &str, token: &str, form: &Form) -> Answer {
        self.send_as(method, path, Some(token), &Form::kind(), &form.bytes())
    }

    /// Sends JSON with any method.
    pub(crate) fn send_json(&self, method: &str, path: &str, token: &str, body: &Value) -> Answer {
        let body = body.to_string();
        self.send_as(
            method,
            path,
            Some(token),
            "application/json",
            body.as_bytes(),
        )
    }

    /// Deletes what is at a path.
    pub(crate) fn delete_as(&self, token: &str, path: &str) -> Answer {
        self.send_as("DELETE", path, Some(token), "text/plain", b"")
    }

    /// Tries to make a flyer with one small picture.
    pub(crate) fn publish(&self, token: &str, fields: &Value) -> Answer {
        let form = Form::of(fields).file("image_1", &picture(1));
        self.send_form("POST", "/api/v1/flyers/", token, &form)
    }
}
