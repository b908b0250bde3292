//! Whether rows and files agree: each row has its files, each file has its row.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use service_kit::database::query;

use crate::running::Running;

/// Every file below a folder, relative to it.
fn files(folder: &Path) -> BTreeSet<String> {
    fn walk(at: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(at).into_iter().flatten() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => walk(&path, found),
                false => found.push(path),
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, &mut found);
    found
        .iter()
        .map(|path| {
            path.strip_prefix(folder)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .filter(|path| path != ".lock")
        .collect()
}

/// Checks that the files in `media` are those that flyers with these pictures need, that each
/// is a picture, and that nothing is left in the trash.
pub(crate) fn check(paths: &[String], media: &Path) {
    let needed: BTreeSet<String> = paths
        .iter()
        .flat_map(|path| {
            let name = path.strip_suffix(".jpg").unwrap();
            [path.clone(), format!("{name}_300.jpg")]
        })
        .collect();
    let there = files(media);
    let missing: Vec<_> = needed.difference(&there).collect();
    let idle: Vec<_> = there.difference(&needed).collect();
    assert!(missing.is_empty(), "rows without files: {missing:?}");
    assert!(idle.is_empty(), "files without rows: {idle:?}");
    for file in there {
        let bytes = std::fs::read(media.join(&file)).unwrap();
        let size = size_of(&bytes);
        assert!(size.is_some(), "{file} is no picture");
    }
}

/// Width and height of a JPEG that is whole.
pub(crate) fn size_of(jpeg: &[u8]) -> Option<(usize, usize)> {
    let mut decoder = zune_jpeg::JpegDecoder::new(std::io::Cursor::new(jpeg));
    decoder.decode().ok()?;
    decoder.dimensions()
}

impl Running {
    /// Checks that rows and files agree; gives the number of files.
    pub(crate) fn agrees(&self) -> usize {
        let rows: Vec<(String,)> = self.rows(query("SELECT path FROM flyer_images"));
        let paths: Vec<String> = rows.into_iter().map(|(path,)| path).collect();
        // A change ends behind its answer only when its client has gone away.
        check(&paths, &self.media());
        files(&self.media()).len()
    }

    /// Number of rows of a table.
    pub(crate) fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {table} AS t");
        self.rows::<(i64,)>(query(sql))[0].0
    }
}
