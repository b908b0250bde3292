//! Which folder or bucket a service keeps its files in.

use std::{path::PathBuf, str::FromStr};

use super::error::StorageError;

/// Where files are: what `OBJECT_STORE_URL` says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageUrl {
    /// A local folder.
    Folder(PathBuf),
    /// A bucket of S3 or of a server that speaks like it; the rest is in the `AWS_` variables.
    S3 {
        /// The bucket.
        bucket: String,
        /// What every key begins with, without slashes at its ends; may be empty.
        prefix: String,
    },
}

impl StorageUrl {
    /// Reads `s3://bucket/prefix`, `file:///folder` or the path of a folder.
    ///
    /// # Errors
    ///
    /// [`StorageError::Url`], which names `OBJECT_STORE_URL`, when the text is none of these.
    pub fn parse(text: &str) -> Result<Self, StorageError> {
        let text = text.trim();
        let wrong = |reason: &str| StorageError::Url {
            url: shown(text),
            reason: reason.to_owned(),
        };
        match text.split_once("://") {
            _ if text.is_empty() => Err(wrong(
                "it is empty; give a folder or `s3://bucket/prefix`, or unset it",
            )),
            None => Ok(Self::Folder(PathBuf::from(text))),
            Some(("file", folder)) if folder.starts_with('/') => {
                Ok(Self::Folder(PathBuf::from(folder)))
            }
            Some(("file", _)) => Err(wrong("the folder must begin with `/`: `file:///folder`")),
            Some(("s3", rest)) => bucket(rest).map_err(|reason| wrong(&reason)),
            Some((scheme, _)) => Err(wrong(&format!(
                "`{scheme}://` is not known; use a folder or `s3://bucket/prefix` \
                 (another server than Amazon's is named in AWS_ENDPOINT)"
            ))),
        }
    }
}

impl FromStr for StorageUrl {
    type Err = StorageError;

    fn from_str(text: &str) -> Result<Self, StorageError> {
        Self::parse(text)
    }
}

fn bucket(rest: &str) -> Result<StorageUrl, String> {
    if rest.contains('@') {
        return Err("credentials do not belong here; set AWS_ACCESS_KEY_ID and \
                    AWS_SECRET_ACCESS_KEY"
            .to_owned());
    }
    if rest.contains(['?', '#']) {
        return Err(
            "a bucket and a prefix are all it can name; set AWS_REGION, AWS_ENDPOINT and \
                    the other AWS_ variables"
                .to_owned(),
        );
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let valid = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if bucket.is_empty() || !bucket.chars().all(valid) {
        return Err(format!(
            "`{bucket}` is not the name of a bucket; write `s3://bucket/prefix`"
        ));
    }
    let prefix = prefix.trim_matches('/');
    if !prefix.is_empty()
        && prefix
            .split('/')
            .any(|part| part.is_empty() || part.starts_with('.'))
    {
        return Err(format!(
            "`{prefix}` has an empty part or one that begins with a dot"
        ));
    }
    Ok(StorageUrl::S3 {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
    })
}

/// The text without what stands before an `@`: it could be a secret.
fn shown(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => text.to_owned(),
    }
}
