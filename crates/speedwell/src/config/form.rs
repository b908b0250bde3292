//! `multipart = { … }` of a route: fields with texts and files.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use http::HeaderValue;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use toml::{Spanned, Value};

use super::nearest;

/// A form as the file describes it.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    /// Names and contents, in the order of the file.
    pub(crate) fields: Vec<(String, Field)>,
    /// Seed of the load; the boundary between the parts comes of it.
    pub(crate) seed: u64,
}

/// What one part of a form holds.
#[derive(Debug, Clone)]
pub(crate) enum Field {
    /// A text with `${…}` in it.
    Text(String),
    File(Upload),
}

/// A file to upload.
#[derive(Clone)]
pub(crate) struct Upload {
    /// As written; may hold `{workdir}` and `{scale}`.
    path: String,
    /// Where a path that is not absolute counts from.
    folder: PathBuf,
    pub(crate) file_name: String,
    pub(crate) content_type: HeaderValue,
    /// `None` for a file that the data of each scale brings with it.
    bytes: Option<Bytes>,
}

impl Upload {
    /// As written; may hold `{workdir}` and `{scale}`.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Where a path that is not absolute counts from.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the file is another one at each scale.
    fn is_of_scale(path: &str) -> bool {
        path.contains("{workdir}") || path.contains("{scale}")
    }

    /// What is in the file.
    ///
    /// # Errors
    /// When a file of this scale cannot be read; says which and what to do.
    pub(crate) fn read(&self, workdir: &Path, scale: u64) -> Result<Bytes, String> {
        if let Some(bytes) = &self.bytes {
            return Ok(bytes.clone());
        }
        let path = self
            .path
            .replace("{workdir}", &workdir.display().to_string())
            .replace("{scale}", &scale.to_string());
        let path = self.folder.join(path);
        fs::read(&path).map(Bytes::from).map_err(|error| {
            format!(
                "cannot read `{}` ({}): {error}; `[data] prepare` must write it",
                self.path,
                path.display()
            )
        })
    }
}

// A file is too long to be shown.
impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("path", &self.path)
            .field("file_name", &self.file_name)
            .field("content_type", &self.content_type)
            .finish_non_exhaustive()
    }
}

/// The table of fields as written, in its order and with the place of each value.
#[derive(Debug)]
pub(super) struct Fields(Vec<(String, Spanned<Value>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of fields")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

impl Fields {
    /// The form that is meant; files are counted from `folder` and read.
    ///
    /// # Errors
    /// Where in the text something is wrong, and what.
    pub(super) fn resolve(self, folder: &Path, seed: u64) -> Result<Form, (usize, String)> {
        let mut fields = Vec::new();
        for (name, value) in self.0 {
            let at = value.span().start;
            // A list is a field that is sent several times.
            let values = match value.into_inner() {
                Value::Array(values) => values,
                one => vec![one],
            };
            for value in values {
                let field = field(value, folder)
                    .map_err(|message| (at, format!("multipart `{name}`: {message}")))?;
                fields.push((name.clone(), field));
            }
        }
        Ok(Form { fields, seed })
    }
}

fn field(value: Value, folder: &Path) -> Result<Field, String> {
    match value {
        Value::String(text) => Ok(Field::Text(text)),
        Value::Integer(number) => Ok(Field::Text(number.to_string())),
        Value::Float(number) => Ok(Field::Text(number.to_string())),
        Value::Boolean(truth) => Ok(Field::Text(truth.to_string())),
        Value::Datetime(time) => Ok(Field::Text(time.to_string())),
        Value::Table(table) => upload(table, folder).map(Field::File),
        Value::Array(_) => {
            Err("a list inside a list; write the texts and files in one list".to_owned())
        }
    }
}

fn upload(mut table: toml::Table, folder: &Path) -> Result<Upload, String> {
    let mut text = |key: &str| match table.remove(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{key}` must be a text")),
    };
    let (file, kind, name) = (text("file")?, text("type")?, text("name")?);
    if let Some(unknown) = table.keys().next() {
        let hint = nearest(unknown, ["file", "type", "name"].into_iter())
            .map(|near| format!("did you mean `{near}`?"))
            .unwrap_or_else(|| "known here: file, type, name".to_owned());
        return Err(format!("unknown key `{unknown}`; {hint}"));
    }
    let path = file.ok_or("a table is a file; say which with file = \"path\"")?;
    let file_name = Path::new(&path)
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let kind = kind.unwrap_or_else(|| media_type(&path).to_owned());
    Ok(Upload {
        content_type: HeaderValue::try_from(&kind)
            .map_err(|_| format!("type `{kind}` is not a media type such as `image/jpeg`"))?,
        bytes: match Upload::is_of_scale(&path) {
            true => None,
            false => Some(read(folder, &path)?),
        },
        file_name: name.or(file_name).unwrap_or_default(),
        folder: folder.to_owned(),
        path,
    })
}

fn read(folder: &Path, path: &str) -> Result<Bytes, String> {
    let full = folder.join(path);
    fs::read(&full).map(Bytes::from).map_err(|error| {
        format!(
            "cannot read `{path}` ({}): {error}; give the path of a file, counted from the folder of this configuration",
            full.display()
        )
    })
}

/// What services are usually sent, by the end of the name; `type` says it for all others.
fn media_type(path: &str) -> &'static str {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending.to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "svg" => "image/svg+xml",
        "pdf" => "application/pdf",
        "json" => "application/json",
        "csv" => "text/csv",
        "txt" => "text/plain",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Route {
        multipart: Fields,
    }

    fn resolve(text: &str, folder: &Path) -> Result<Form, (usize, String)> {
        let route: Route = toml::from_str(text).unwrap();
        route.multipart.resolve(folder, 7)
    }

    fn message(text: &str) -> String {
        resolve(text, Path::new("/nowhere")).unwrap_err().1
    }

    #[test]
    fn fields_keep_their_order_and_a_list_repeats_its_field() {
        let text = "multipart = { z = \"a ${seq}\", b = [\"x\", 2], a = true, price = 1.5 }";
        let form = resolve(text, Path::new(".")).unwrap();
        let fields: Vec<(&str, &str)> = form
            .fields
            .iter()
            .map(|(name, field)| match field {
                Field::Text(text) => (name.as_str(), text.as_str()),
                Field::File(_) => panic!("{name} is no file"),
            })
            .collect();
        let expected = [
            ("z", "a ${seq}"),
            ("b", "x"),
            ("b", "2"),
            ("a", "true"),
            ("price", "1.5"),
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn a_file_is_read_from_the_folder_of_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("photo.JPG"), b"jpeg").unwrap();
        let text = "multipart = { a = { file = \"photo.JPG\" }, \
                    b = [{ file = \"photo.JPG\", type = \"image/x\", name = \"other\" }] }";
        let form = resolve(text, folder.path()).unwrap();
        let uploads: Vec<&Upload> = form
            .fields
            .iter()
            .filter_map(|(_, field)| match field {
                Field::File(upload) => Some(upload),
                Field::Text(_) => None,
            })
            .collect();
        let shown: Vec<(&str, &[u8])> = uploads
            .iter()
            .map(|upload| (upload.file_name.as_str(), upload.content_type.as_bytes()))
            .collect();
        let expected: [(&str, &[u8]); 2] = [("photo.JPG", b"image/jpeg"), ("other", b"image/x")];
        assert_eq!(shown, expected);
        assert_eq!(uploads[0].read(Path::new("/"), 1).unwrap(), "jpeg");
        assert!(!format!("{form:?}").contains("106, 112"), "{form:?}");
    }

    #[test]
    fn a_file_of_a_scale_is_read_when_that_is_prepared() {
        let workdir = tempfile::tempdir().unwrap();
        let text = "multipart = { a = { file = \"{workdir}/{scale}.png\" } }";
        let form = resolve(text, Path::new("/nowhere")).unwrap();
        let Field::File(upload) = &form.fields[0].1 else {
            panic!("it is a file")
        };
        let error = upload.read(workdir.path(), 10).unwrap_err();
        assert!(
            error.contains("10.png") && error.contains("prepare"),
            "{error}"
        );
        fs::write(workdir.path().join("10.png"), b"png").unwrap();
        assert_eq!(upload.read(workdir.path(), 10).unwrap(), "png");
    }

    #[test]
    fn what_cannot_be_sent_is_refused_by_the_name_of_its_field() {
        for (text, parts) in [
            (
                "{ photo = { file = \"no.jpg\" } }",
                ["`photo`", "`no.jpg` (/nowhere/no.jpg)"],
            ),
            (
                "{ photo = { fil = \"no.jpg\" } }",
                ["unknown key `fil`", "`file`"],
            ),
            (
                "{ photo = { type = \"a/b\" } }",
                ["`photo`", "file = \"path\""],
            ),
            (
                "{ photo = { file = 3 } }",
                ["`photo`", "`file` must be a text"],
            ),
            ("{ tags = [[\"a\"]] }", ["`tags`", "one list"]),
            (
                "{ photo = { file = \"{workdir}/a\", type = \"a\\nb\" } }",
                ["`photo`", "not a media type"],
            ),
        ] {
            let message = message(&format!("multipart = {text}"));
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        }
    }
}
