//! The web page: its files, carried inside the program, and how they are served.
//!
//! Every file but two stands under `/assets/<version>/`, where the version is a hash of
//! them all: such an address never changes its content, so browsers keep it for good.
//! `index.html` and `sw.js` name the version and are asked for again each time.

use std::{io::Write as _, sync::LazyLock};

use axum::{
    Router,
    body::Bytes,
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use flate2::{Compression, write::GzEncoder};
use service_kit::{id::Id, problem::Problem};
use twox_hash::XxHash3_64;

/// A file of `web/`.
struct Source {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

macro_rules! files {
    ($($name:literal: $kind:expr,)*) => {
        &[$(Source { name: $name, kind: $kind, text: include_str!(concat!("../web/", $name)) },)*]
    };
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

const ASSETS: &[Source] = files! {
    "api.js": JAVASCRIPT,
    "app.css": "text/css; charset=utf-8",
    "card.js": JAVASCRIPT,
    "detail.js": JAVASCRIPT,
    "dom.js": JAVASCRIPT,
    "editor.js": JAVASCRIPT,
    "feed.js": JAVASCRIPT,
    "form.js": JAVASCRIPT,
    "icon.svg": "image/svg+xml",
    "login.js": JAVASCRIPT,
    "main.js": JAVASCRIPT,
    "manifest.webmanifest": "application/manifest+json",
    "me.js": JAVASCRIPT,
    "pictures.js": JAVASCRIPT,
    "place.js": JAVASCRIPT,
    "profile.js": JAVASCRIPT,
    "stats.js": JAVASCRIPT,
    "upload.js": JAVASCRIPT,
};
const INDEX: &str = include_str!("../web/index.html");
const WORKER: &str = include_str!("../web/sw.js");

/// Paths of the views; the page's own router knows the same.
const VIEWS: [&str; 4] = ["/", "/me", "/login", "/create"];
const VIEWS_OF_ONE: [&str; 3] = ["/flyers/{id}", "/flyers/{id}/edit", "/users/{id}"];

/// Scripts, styles and pictures from this service alone; previews of pictures that are
/// about to be sent are `blob:` addresses.
const POLICY: &str = "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

static PAGE: LazyLock<Page> = LazyLock::new(Page::build);

/// The files as they travel.
struct Page {
    version: String,
    index: File,
    worker: File,
    assets: Vec<(&'static str, File)>,
}

struct File {
    kind: &'static str,
    plain: Bytes,
    gzip: Bytes,
    /// Weak, because the same content may travel compressed.
    tag: String,
}

impl Page {
    fn build() -> Self {
        let mut all = String::new();
        for source in ASSETS {
            all += source.name;
            all += source.text;
        }
        let version = format!("{:016x}", XxHash3_64::oneshot(all.as_bytes()));
        let names: Vec<_> = ASSETS.iter().map(|source| source.name).collect();
        let fill = |text: &str| {
            text.replace("%ASSETS%", &format!("/assets/{version}"))
                .replace("%FILES%", &serde_json::json!(names).to_string())
        };
        Self {
            index: File::new(HTML, fill(INDEX)),
            worker: File::new(JAVASCRIPT, fill(WORKER)),
            assets: ASSETS
                .iter()
                .map(|source| (source.name, File::new(source.kind, source.text.to_owned())))
                .collect(),
            version,
        }
    }

    fn asset(&self, version: &str, name: &str) -> Option<&File> {
        let found = self.assets.iter().find(|(known, _)| *known == name);
        found
            .filter(|_| version == self.version)
            .map(|(_, file)| file)
    }
}

impl File {
    fn new(kind: &'static str, text: String) -> Self {
        let tag = format!("W/\"{:016x}\"", XxHash3_64::oneshot(text.as_bytes()));
        Self {
            kind,
            gzip: gzip(text.as_bytes()),
            plain: text.into(),
            tag,
        }
    }

    fn answer(&self, asked: &HeaderMap, cache: &'static str) -> Response {
        let known = header_text(asked, header::IF_NONE_MATCH);
        let same = known
            .split(',')
            .any(|one| matches!(one.trim(), "*") || bare(one) == bare(&self.tag));
        let mut headers = HeaderMap::new();
        let mut set = |name, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        set(header::ETAG, &self.tag);
        set(header::CACHE_CONTROL, cache);
        set(header::VARY, "Accept-Encoding");
        set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        if self.kind == HTML {
            set(header::CONTENT_SECURITY_POLICY, POLICY);
            set(header::REFERRER_POLICY, "same-origin");
        }
        if same {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        set(header::CONTENT_TYPE, self.kind);
        if takes_gzip(asked) {
            set(header::CONTENT_ENCODING, "gzip");
            return (headers, self.gzip.clone()).into_response();
        }
        (headers, self.plain.clone()).into_response()
    }
}

/// The page's paths. Everything else stays with the API.
pub(crate) fn routes() -> Router {
    const AGAIN: &str = "no-cache";
    let index = |headers: HeaderMap| async move { PAGE.index.answer(&headers, AGAIN) };
    let of_one = |id: Id, headers: HeaderMap| async move {
        id.or(no_such_page)?;
        Ok::<_, Problem>(PAGE.index.answer(&headers, AGAIN))
    };
    let router = Router::new()
        .route("/assets/{version}/{name}", get(asset))
        .route(
            "/sw.js",
            get(|headers: HeaderMap| async move { PAGE.worker.answer(&headers, AGAIN) }),
        );
    let router = VIEWS
        .into_iter()
        .fold(router, |router, path| router.route(path, get(index)));
    VIEWS_OF_ONE
        .into_iter()
        .fold(router, |router, path| router.route(path, get(of_one)))
}

async fn asset(
    Path((version, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    const FOR_GOOD: &str = "public, max-age=31536000, immutable";
    let file = PAGE.asset(&version, &name).ok_or_else(no_such_page)?;
    Ok(file.answer(&headers, FOR_GOOD))
}

fn no_such_page() -> Problem {
    Problem::not_found("there is no such path")
}

/// Compressed once, at the best level: the same bytes go out thousands of times.
fn gzip(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to memory does not fail; an empty answer would be noticed by the tests.
    let written = encoder.write_all(plain).and_then(|()| encoder.finish());
    written.unwrap_or_default().into()
}

fn takes_gzip(asked: &HeaderMap) -> bool {
    header_text(asked, header::ACCEPT_ENCODING)
        .split(',')
        .any(|one| {
            let mut parts = one.split(';').map(str::trim);
            parts.next() == Some("gzip") && parts.next().is_none_or(|q| q != "q=0")
        })
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn bare(tag: &str) -> &str {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/web");
        let mut there: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "index.html" && name != "sw.js")
            .collect();
        there.sort();
        let listed: Vec<_> = ASSETS.iter().map(|source| source.name).collect();
        assert_eq!(listed, there);
    }

    #[test]
    fn what_a_file_imports_is_there() {
        for source in ASSETS.iter().filter(|source| source.kind == JAVASCRIPT) {
            for line in source.text.split("'./").skip(1) {
                let name = line.split('\'').next().unwrap();
                assert!(
                    PAGE.asset(&PAGE.version, name).is_some(),
                    "{} imports {name}",
                    source.name
                );
            }
        }
        for name in INDEX.split("%ASSETS%/").skip(1) {
            let name = name.split('"').next().unwrap();
            assert!(PAGE.asset(&PAGE.version, name).is_some(), "{name}");
        }
    }

    #[test]
    fn the_policy_is_kept_by_the_page_itself() {
        assert!(!INDEX.contains("<style") && !INDEX.contains(" style="));
        assert_eq!(INDEX.matches("<script").count(), 1);
        assert!(INDEX.contains("<script type=\"module\" src="));
        for source in ASSETS {
            for way in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
            ] {
                assert!(!source.text.contains(way), "{way} in {}", source.name);
            }
        }
    }

    #[test]
    fn compressed_files_are_the_same_files() {
        for (name, file) in &PAGE.assets {
            let mut text = Vec::new();
            flate2::read::GzDecoder::new(&file.gzip[..])
                .read_to_end(&mut text)
                .unwrap();
            assert_eq!(text, file.plain, "{name}");
        }
    }

    #[test]
    fn the_first_view_travels_in_under_40_kb_and_the_whole_page_in_under_60() {
        let of = |name: &str| PAGE.asset(&PAGE.version, name).unwrap().gzip.len();
        let first: usize = INDEX
            .split("%ASSETS%/")
            .skip(1)
            .map(|rest| of(rest.split('"').next().unwrap()))
            .sum();
        let all: usize = PAGE.assets.iter().map(|(_, file)| file.gzip.len()).sum();
        let html = PAGE.index.gzip.len();
        assert!(first + html < 40_000, "{}", first + html);
        assert!(all + html < 60_000, "{}", all + html);
    }

    #[test]
    fn a_known_tag_is_answered_without_the_body_in_either_form() {
        let file = &PAGE.index;
        for known in [
            file.tag.clone(),
            bare(&file.tag).to_owned(),
            "*".to_owned(),
            format!("\"x\", {}", file.tag),
        ] {
            let asked = headers(&[(header::IF_NONE_MATCH, &known)]);
            assert_eq!(file.answer(&asked, "no-cache").status(), 304, "{known}");
        }
        let other = headers(&[(header::IF_NONE_MATCH, "\"x\"")]);
        assert_eq!(file.answer(&other, "no-cache").status(), 200);
    }

    #[test]
    fn gzip_goes_to_those_who_take_it() {
        for (accept, takes) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, gzip;q=0.8", true),
            ("identity", false),
            ("gzip;q=0", false),
            ("", false),
        ] {
            let asked = headers(&[(header::ACCEPT_ENCODING, accept)]);
            assert_eq!(takes_gzip(&asked), takes, "{accept}");
        }
    }

    #[test]
    fn an_asset_of_another_version_is_not_there() {
        assert!(PAGE.asset(&PAGE.version, "main.js").is_some());
        assert!(PAGE.asset("0000000000000000", "main.js").is_none());
        assert!(PAGE.asset(&PAGE.version, "../Cargo.toml").is_none());
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        for file in [&PAGE.index, &PAGE.worker] {
            assert!(!String::from_utf8_lossy(&file.plain).contains('%'));
        }
    }
}
