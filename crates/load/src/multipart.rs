//! Multipart forms (RFC 7578): texts with places to fill, and files that all requests share.

use std::fmt;

use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use memchr::memmem;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    request::Payload,
    session::Session,
    template::{Reference, RenderError, Template},
};

/// A multipart body. Its parts are sent in the order given; several may have the same name.
#[derive(Debug, Clone)]
pub struct Multipart {
    parts: Vec<Part>,
    seed: u64,
    /// Occurs in no file.
    boundary: String,
}

/// One part of a form.
#[derive(Clone)]
pub struct Part {
    /// Its headers and the empty line after them.
    head: Bytes,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Text(Template),
    File(Bytes),
}

/// A file to send. Its content is shared by all requests, never copied.
#[derive(Clone)]
pub struct FileContent {
    /// Name that the service is told.
    pub file_name: String,
    /// Media type: `image/jpeg`.
    pub content_type: HeaderValue,
    /// What is in it.
    pub bytes: Bytes,
}

impl Part {
    /// A field with a text.
    #[must_use]
    pub fn text(name: &str, text: Template) -> Self {
        let head = format!("{}\r\n\r\n", disposition(name));
        Self {
            head: Bytes::from(head),
            content: Content::Text(text),
        }
    }

    /// A field with a file.
    #[must_use]
    pub fn file(name: &str, file: FileContent) -> Self {
        let mut head = disposition(name);
        head.push_str("; filename=\"");
        head.push_str(&escaped(&file.file_name));
        head.push_str("\"\r\ncontent-type: ");
        let mut head = head.into_bytes();
        head.extend_from_slice(file.content_type.as_bytes());
        head.extend_from_slice(b"\r\n\r\n");
        Self {
            head: Bytes::from(head),
            content: Content::File(file.bytes),
        }
    }

    fn template(&self) -> Option<&Template> {
        match &self.content {
            Content::Text(template) => Some(template),
            Content::File(_) => None,
        }
    }
}

impl Multipart {
    /// A form of these parts. The boundary between them comes of `seed`, so that the same seed
    /// sends the same bytes; one that occurs in a part is passed over.
    #[must_use]
    pub fn new(parts: Vec<Part>, seed: u64) -> Self {
        let mut form = Self {
            parts,
            seed,
            boundary: String::new(),
        };
        form.boundary = form.boundary_beside(&[]);
        form
    }

    /// What the texts need, in order, with repetitions.
    pub fn names(&self) -> impl Iterator<Item = Reference> {
        self.parts
            .iter()
            .filter_map(Part::template)
            .flat_map(Template::names)
    }

    /// True when every request of the form is the same.
    pub(crate) fn is_constant(&self) -> bool {
        let mut texts = self.parts.iter().filter_map(Part::template);
        texts.all(|text| text.constant().is_some())
    }

    /// Fills the texts from a session.
    pub(crate) fn render(&self, session: &mut Session) -> Result<Payload, RenderError> {
        let texts = self
            .parts
            .iter()
            .filter_map(Part::template)
            .map(|text| text.render(session))
            .collect::<Result<Vec<_>, _>>()?;
        let taken = texts.iter().any(|text| occurs(&self.boundary, text));
        let other;
        let boundary = if taken {
            other = self.boundary_beside(&texts);
            &other
        } else {
            &self.boundary
        };
        Ok(Payload::multipart(boundary, self.pieces(boundary, &texts)))
    }

    /// The body: what stands between two files is one piece, a file is another.
    fn pieces(&self, boundary: &str, texts: &[String]) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        let mut piece = BytesMut::new();
        let mut texts = texts.iter();
        for part in &self.parts {
            piece.extend_from_slice(b"--");
            piece.extend_from_slice(boundary.as_bytes());
            piece.extend_from_slice(b"\r\n");
            piece.extend_from_slice(&part.head);
            match &part.content {
                Content::Text(_) => {
                    let text = texts.next().map_or("", String::as_str);
                    piece.extend_from_slice(text.as_bytes());
                }
                Content::File(bytes) => {
                    pieces.push(piece.split().freeze());
                    pieces.push(bytes.clone());
                }
            }
            piece.extend_from_slice(b"\r\n");
        }
        piece.extend_from_slice(b"--");
        piece.extend_from_slice(boundary.as_bytes());
        piece.extend_from_slice(b"--\r\n");
        pieces.push(piece.freeze());
        pieces
    }

    /// The first boundary of the seed that occurs neither in a file nor in one of `texts`.
    fn boundary_beside(&self, texts: &[String]) -> String {
        let mut draws = ChaCha8Rng::seed_from_u64(self.seed);
        loop {
            let boundary = format!("speedwell-{:016x}", draws.next_u64());
            let in_file = self.parts.iter().any(|part| match &part.content {
                Content::File(bytes) => occurs(&boundary, bytes),
                Content::Text(_) => false,
            });
            // What is in the form is finite, what can be drawn all but endless.
            if !in_file && !texts.iter().any(|text| occurs(&boundary, text)) {
                return boundary;
            }
        }
    }
}

fn occurs(boundary: &str, content: impl AsRef<[u8]>) -> bool {
    memmem::find(content.as_ref(), boundary.as_bytes()).is_some()
}

fn disposition(name: &str) -> String {
    format!("content-disposition: form-data; name=\"{}\"", escaped(name))
}

/// A name in quotes, as browsers write it (HTML, "multipart/form-data encoding algorithm").
fn escaped(name: &str) -> String {
    name.replace('\n', "%0A")
        .replace('\r', "%0D")
        .replace('"', "%22")
}

// A file is too long to be shown, and may hold what belongs to somebody.
impl fmt::Debug for FileContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileContent")
            .field("file_name", &self.file_name)
            .field("content_type", &self.content_type)
            .field("len", &self.bytes.len())
            .finish()
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Part");
        shown.field("head", &self.head);
        match &self.content {
            Content::Text(text) => shown.field("text", text),
            Content::File(bytes) => shown.field("len", &bytes.len()),
        };
        shown.finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// What an independent reader makes of a part: name, file name, type and content.
    type Read = (String, Option<String>, Option<String>, Vec<u8>);

    fn read(payload: &Payload) -> Vec<Read> {
        let kind = payload.content_type().to_str().unwrap().to_owned();
        let boundary = multer::parse_boundary(kind).unwrap();
        let body = Bytes::from(payload.pieces().concat());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut reader = multer::Multipart::with_reader(body.as_ref(), boundary);
            let mut parts = Vec::new();
            while let Some(field) = reader.next_field().await.unwrap() {
                parts.push((
                    field.name().unwrap().to_owned(),
                    field.file_name().map(str::to_owned),
                    field.content_type().map(ToString::to_string),
                    field.bytes().await.unwrap().to_vec(),
                ));
            }
            parts
        })
    }

    fn file(bytes: &[u8]) -> FileContent {
        FileContent {
            file_name: "photo.jpg".to_owned(),
            content_type: HeaderValue::from_static("image/jpeg"),
            bytes: Bytes::copy_from_slice(bytes),
        }
    }

    fn text(name: &str, template: &str) -> Part {
        Part::text(name, Template::parse(template).unwrap())
    }

    fn render(form: &Multipart) -> Payload {
        let mut session = Session::new(7, 3, None);
        session.set("token", json!("abc"));
        form.render(&mut session).unwrap()
    }

    #[test]
    fn a_form_is_written_part_by_part() {
        let form = Multipart::new(
            vec![
                text("title", "Flohmarkt ${seq}"),
                Part::file("image", file(b"jpeg")),
            ],
            7,
        );
        let payload = render(&form);
        let body = payload.pieces().concat();
        let body = String::from_utf8(body)
            .unwrap()
            .replace(&form.boundary, "B");
        assert_eq!(
            body,
            "--B\r\ncontent-disposition: form-data; name=\"title\"\r\n\r\nFlohmarkt 1\r\n\
             --B\r\ncontent-disposition: form-data; name=\"image\"; filename=\"photo.jpg\"\r\n\
             content-type: image/jpeg\r\n\r\njpeg\r\n--B--\r\n"
        );
    }

    #[test]
    fn a_file_is_shared_and_not_copied() {
        let content = file(&[7; 100_000]);
        let whole = content.bytes.clone();
        let form = Multipart::new(
            vec![Part::file("a", content.clone()), Part::file("b", content)],
            7,
        );
        let payload = render(&form);
        let same = |piece: &&Bytes| piece.as_ptr() == whole.as_ptr() && piece.len() == whole.len();
        assert_eq!(payload.pieces().iter().filter(same).count(), 2);
    }

    #[test]
    fn a_boundary_that_a_part_holds_is_passed_over() {
        let first = Multipart::new(Vec::new(), 7).boundary;
        let in_file = Multipart::new(vec![Part::file("a", file(first.as_bytes()))], 7);
        assert_ne!(in_file.boundary, first);
        assert_eq!(read(&render(&in_file))[0].3, first.as_bytes());

        let forged = format!("x\r\n--{first}--\r\n");
        let in_text = Multipart::new(vec![text("a", &forged), text("b", "y")], 7);
        let parts = read(&render(&in_text));
        assert_eq!((parts.len(), &parts[0].3), (2, &forged.into_bytes()));
    }

    #[test]
    fn the_same_seed_writes_the_same_bytes_and_another_writes_others() {
        let body = |seed| {
            let form = Multipart::new(
                vec![text("a", "${uuid}"), Part::file("b", file(b"c"))],
                seed,
            );
            render(&form).pieces().concat()
        };
        assert_eq!(body(7), body(7));
        assert_ne!(body(7), body(8));
    }

    #[test]
    fn an_empty_form_and_an_empty_file_can_be_read() {
        assert_eq!(
            read(&render(&Multipart::new(
                vec![Part::file("a", file(b""))],
                7
            )))[0]
                .3,
            b""
        );
        assert!(
            read(&render(&Multipart::new(vec![text("a", "")], 7)))[0]
                .3
                .is_empty()
        );
    }

    #[test]
    fn debug_shows_no_content() {
        let form = Multipart::new(vec![Part::file("a", file(b"secret"))], 7);
        assert!(!format!("{form:?} {:?}", file(b"secret")).contains("secret"));
    }

    #[derive(Debug, Clone)]
    enum Given {
        Text(String),
        File(Vec<u8>),
    }

    fn given() -> impl Strategy<Value = (String, Given)> {
        let content = prop_oneof![
            "[^$]{0,40}".prop_map(Given::Text),
            // Line ends and dashes are what boundaries are made of.
            proptest::collection::vec(
                prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), any::<u8>()],
                0..200
            )
            .prop_map(Given::File),
        ];
        ("[a-zA-Z0-9_ äß.]{1,12}", content)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_by_another_reader(parts in proptest::collection::vec(given(), 1..8), seed: u64) {
            let form = Multipart::new(
                parts.iter().map(|(name, content)| match content {
                    Given::Text(text) => Part::text(name, Template::parse(text).unwrap()),
                    Given::File(bytes) => Part::file(name, file(bytes)),
                }).collect(),
                seed,
            );
            let expected: Vec<Read> = parts.into_iter().map(|(name, content)| match content {
                Given::Text(text) => (name, None, None, text.into_bytes()),
                Given::File(bytes) => (name, Some("photo.jpg".to_owned()), Some("image/jpeg".to_owned()), bytes),
            }).collect();
            prop_assert_eq!(read(&render(&form)), expected);
        }

        #[test]
        fn names_cannot_break_out_of_their_quotes(name in "[\r\n\"a:;]{0,20}") {
            let form = Multipart::new(vec![text(&name, "x"), Part::file(&name, file(b"y"))], 7);
            let parts = read(&render(&form));
            prop_assert_eq!(parts.len(), 2);
            prop_assert_eq!(&parts[0].3, b"x");
            prop_assert_eq!(&parts[0].0, &escaped(&name));
        }
    }
}
