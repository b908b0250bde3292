//! Forms with files (`multipart/form-data`, RFC 7578), read as they arrive and within limits.

use axum::{
    extract::Request,
    http::{HeaderMap, header},
};
use bytes::Bytes;
use multer::{Constraints, Field, Multipart, SizeLimit};

use crate::problem::{Fields, Problem};

/// Which fields a form may have, and how much of each is read.
#[derive(Debug, Clone, Copy)]
pub struct FormShape {
    /// Fields with one text.
    pub texts: &'static [&'static str],
    /// Fields with texts that may be repeated.
    pub lists: &'static [&'static str],
    /// Fields with one file.
    pub files: &'static [&'static str],
    /// Bytes of one text.
    pub text_bytes: usize,
    /// Bytes of one file.
    pub file_bytes: usize,
}

/// What a form said.
#[derive(Debug, Default)]
pub struct Form {
    texts: Vec<(&'static str, String)>,
    files: Vec<(&'static str, Bytes)>,
}

/// How often one field may be repeated: more than any list of a form that people fill in.
const MOST_REPEATED: usize = 64;
/// Faults after which nothing more is read.
const MOST_FAULTS: usize = 16;
/// Room for what stands around a field: boundary, name, type.
const AROUND_FIELD: usize = 1024;
/// How much of an unknown name is repeated to the client.
const LONGEST_NAME: usize = 40;

impl Form {
    /// The text of a field.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let at = self.texts.iter().position(|(field, _)| *field == name)?;
        Some(self.texts.swap_remove(at).1)
    }

    /// The texts of a field that may be repeated, in their order; `None` when it is not there.
    pub fn list(&self, name: &str) -> Option<Vec<&str>> {
        let all = self.texts.iter().filter(|(field, _)| *field == name);
        let all: Vec<&str> = all.map(|(_, text)| text.as_str()).collect();
        (!all.is_empty()).then_some(all)
    }

    /// The files with the names of their fields, in the order of the shape.
    pub fn into_files(self) -> Vec<(&'static str, Bytes)> {
        self.files
    }
}

/// Whether the body is such a form.
pub fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("multipart/form-data")
}

impl FormShape {
    /// Reads a form. A file field without file name and content counts as left out: that is how
    /// browsers send an empty choice.
    ///
    /// # Errors
    ///
    /// 400 that names every field that is unknown, repeated, too long or of the wrong kind, or
    /// says why the form cannot be read; 413 for a body longer than all fields together may be;
    /// 415 for another content type.
    pub async fn read(&self, request: Request) -> Result<Form, Problem> {
        let headers = request.headers();
        if !is_form(headers) {
            return Err(Problem::unsupported_media_type(
                "send the body as a form with `Content-Type: multipart/form-data`",
            ));
        }
        let kind = headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let boundary = multer::parse_boundary(kind).map_err(|error| explain(&error))?;
        // RFC 2046, 5.1.1. Any line that begins with two hyphens would end such a form.
        if boundary.is_empty() {
            return Err(explain(&multer::Error::NoBoundary));
        }
        let limit = self.most_bytes();
        // Told in advance, a body that is too long need not be sent.
        if announced(headers).is_some_and(|length| length > limit) {
            return Err(Problem::too_large());
        }
        let limits = Constraints::new().size_limit(SizeLimit::new().whole_stream(limit));
        let body = request.into_body().into_data_stream();
        let parts = Multipart::with_constraints(body, boundary, limits);
        let mut reader = Reader {
            shape: self,
            form: Form::default(),
            faults: Fields::new(),
        };
        reader.read(parts).await?;
        if !reader.faults.is_empty() {
            return Err(Problem::validation(reader.faults));
        }
        let place = |name| self.files.iter().position(|file| *file == name);
        reader.form.files.sort_by_key(|(name, _)| place(*name));
        Ok(reader.form)
    }

    /// Bytes of the longest form of this shape.
    fn most_bytes(&self) -> u64 {
        let texts = (self.texts.len() + self.lists.len()) * (self.text_bytes + AROUND_FIELD);
        let files = self.files.len() * (self.file_bytes + AROUND_FIELD);
        let repeated = self.lists.len() * MOST_REPEATED * AROUND_FIELD;
        (texts + files + repeated) as u64
    }
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// What a field of the form is for.
enum Use {
    Text(&'static str),
    List(&'static str),
    File(&'static str),
}

struct Reader<'s> {
    shape: &'s FormShape,
    form: Form,
    faults: Fields,
}

impl Reader<'_> {
    async fn read(&mut self, mut parts: Multipart<'_>) -> Result<(), Problem> {
        while let Some(field) = parts.next_field().await.map_err(|error| explain(&error))? {
            self.field(field).await?;
            if self.faults.len() >= MOST_FAULTS {
                break;
            }
        }
        Ok(())
    }

    async fn field(&mut self, mut field: Field<'_>) -> Result<(), Problem> {
        let Some(name) = field.name().map(str::to_owned) else {
            return Err(Problem::malformed("a part of the form has no name"));
        };
        let known = self.use_of(&name);
        let limit = match known {
            Some(Use::Text(_) | Use::List(_)) => self.shape.text_bytes,
            Some(Use::File(_)) => self.shape.file_bytes,
            None => 0,
        };
        let is_file = field.file_name().is_some();
        let no_file_name = field.file_name().is_none_or(str::is_empty);
        let content = content(&mut field, limit).await?;
        let message = match (known, content) {
            (None, _) => "is not a field of this form",
            (Some(Use::File(name)), Some(content)) => {
                if content.is_empty() && no_file_name {
                    return Ok(());
                }
                if !self.form.files.iter().any(|(other, _)| *other == name) {
                    self.form.files.push((name, content.into()));
                    return Ok(());
                }
                "is given twice"
            }
            (Some(Use::Text(_) | Use::List(_)), _) if is_file => "must be a text, not a file",
            (Some(Use::Text(name)), Some(text)) => match String::from_utf8(text) {
                Ok(_) if self.times(name) > 0 => "is given twice",
                Ok(text) => {
                    self.form.texts.push((name, text));
                    return Ok(());
                }
                Err(_) => "must be a text in UTF-8",
            },
            (Some(Use::List(name)), Some(text)) => match String::from_utf8(text) {
                Ok(_) if self.times(name) >= MOST_REPEATED => "is given too often",
                Ok(text) => {
                    self.form.texts.push((name, text));
                    return Ok(());
                }
                Err(_) => "must be a text in UTF-8",
            },
            (Some(_), None) => {
                self.fault(&name, &too_long(limit));
                return Ok(());
            }
        };
        self.fault(&name, message);
        Ok(())
    }

    fn use_of(&self, name: &str) -> Option<Use> {
        let find = |names: &[&'static str]| names.iter().copied().find(|known| *known == name);
        let FormShape {
            texts,
            lists,
            files,
            ..
        } = self.shape;
        find(texts)
            .map(Use::Text)
            .or_else(|| find(lists).map(Use::List))
            .or_else(|| find(files).map(Use::File))
    }

    fn times(&self, name: &str) -> usize {
        let same = self.form.texts.iter().filter(|(field, _)| *field == name);
        same.count()
    }

    fn fault(&mut self, name: &str, message: &str) {
        let name = name.chars().take(LONGEST_NAME).collect();
        self.faults
            .entry(name)
            .or_insert_with(|| message.to_owned());
    }
}

fn too_long(limit: usize) -> String {
    match limit >> 20 {
        0 => format!("has more than {limit} bytes"),
        megabytes => format!("has more than {megabytes} MB"),
    }
}

/// The content of a field; `None` when it is longer than `limit`, which is then read and
/// thrown away, so that every fault of the form is found.
async fn content(field: &mut Field<'_>, limit: usize) -> Result<Option<Vec<u8>>, Problem> {
    let mut content = Some(Vec::new());
    while let Some(chunk) = field.chunk().await.map_err(|error| explain(&error))? {
        content = content
            .filter(|content: &Vec<u8>| content.len() + chunk.len() <= limit)
            .map(|mut content| {
                content.extend_from_slice(&chunk);
                content
            });
    }
    Ok(content)
}

fn explain(error: &multer::Error) -> Problem {
    use multer::Error;
    match error {
        Error::StreamSizeExceeded { .. } => Problem::too_large(),
        Error::IncompleteFieldData {
            field_name: Some(name),
        } => Problem::invalid(
            &name.chars().take(LONGEST_NAME).collect::<String>(),
            "the form ends inside this field; send it again",
        ),
        Error::IncompleteFieldData { .. } | Error::IncompleteHeaders | Error::IncompleteStream => {
            Problem::malformed("the form ends too early; send it again")
        }
        Error::StreamReadFailed(_) => Problem::malformed("the form could not be read to its end"),
        Error::NoBoundary => Problem::malformed("`Content-Type` names no boundary"),
        Error::NoMultipart | Error::DecodeContentType(_) => {
            Problem::malformed("`Content-Type` cannot be read")
        }
        // The text names the place, never more than the client sent itself.
        other => Problem::malformed(format!("the form cannot be read: {other}")),
    }
}

#[cfg(test)]
mod tests;
