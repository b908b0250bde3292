//! Whatever a process was doing when it died: after the next start rows and files agree.
//!
//! A store that dies after any number of operations stands for `kill -9`. Scenarios are drawn,
//! and each is stopped after 0, 1, 2, ... operations until it runs through; the recovery that
//! follows is stopped in the same way.

use std::{
    collections::{BTreeMap, HashSet},
    convert::Infallible,
    fmt, fs,
    ops::Range,
    path::Path as FilePath,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result, memory::InMemory, path::Path,
};
use proptest::prelude::*;

use super::{Discarded, Inner, Operations, Storage, StorageUrl, Written, folder::Folder, store};

/// Which operations of a store succeed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// None from this one on: the process is dead.
    Dies(i64),
    /// All but this one.
    Fails(i64),
    /// All, but the answer to this one is lost.
    Loses(i64),
}

/// A store with a fault.
struct Faulty {
    store: Arc<dyn ObjectStore>,
    /// A folder renames in one operation; a bucket copies and deletes.
    folder: Option<std::path::PathBuf>,
    fault: Fault,
    count: AtomicI64,
}

impl Faulty {
    /// Whether this operation happens, and whether its answer arrives.
    fn next(&self) -> (bool, bool) {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        match self.fault {
            Fault::Dies(at) => (number < at, number < at),
            Fault::Fails(at) => (number != at, number != at),
            Fault::Loses(at) => (true, number != at),
        }
    }

    async fn run<T>(&self, operation: impl Future<Output = Result<T>>) -> Result<T> {
        let (happens, answers) = self.next();
        let broken = || object_store::Error::Generic {
            store: "faulty",
            source: "broken".into(),
        };
        if !happens {
            return Err(broken());
        }
        let answer = operation.await;
        if answers { answer } else { Err(broken()) }
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, to: &Path, bytes: PutPayload, how: PutOptions) -> Result<PutResult> {
        let put = self.run(self.store.put_opts(to, bytes, how)).await;
        // A process that dies while it writes leaves half a file under another name.
        if let (Err(_), Some(root), Fault::Dies(_)) = (&put, &self.folder, self.fault) {
            let staged = root.join(format!("{to}#1"));
            fs::create_dir_all(staged.parent().unwrap()).unwrap();
            fs::write(staged, "half").unwrap();
        }
        put
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        unreachable!("files are written in one piece")
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.run(self.store.get_opts(location, options)).await
    }

    async fn get_ranges(&self, _: &Path, _: &[Range<u64>]) -> Result<Vec<Bytes>> {
        unreachable!("files are read in one piece")
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let (happens, answers) = self.next();
        let broken = futures_util::stream::once(async {
            Err(object_store::Error::Generic {
                store: "faulty",
                source: "broken".into(),
            })
        })
        .boxed();
        if !happens {
            return broken;
        }
        let deleted = self.store.delete_stream(paths);
        match answers {
            true => deleted,
            false => deleted.filter(|_| async { false }).chain(broken).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.run(self.store.copy_opts(from, to, options)).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        match self.folder {
            Some(_) => self.run(self.store.rename_opts(from, to, options)).await,
            None => {
                self.copy_opts(from, to, CopyOptions::new()).await?;
                self.delete(from).await
            }
        }
    }
}

/// Where files outlive processes.
enum Place {
    Folder(tempfile::TempDir),
    Bucket(Arc<InMemory>),
}

impl Place {
    /// A process that has the place open, and how often it asked its store.
    fn open(&self, fault: Fault) -> (Storage, Arc<Faulty>) {
        let (store, folder): (Arc<dyn ObjectStore>, _) = match self {
            Self::Bucket(store) => (Arc::clone(store) as _, None),
            Self::Folder(root) => {
                let folder = Folder::open(root.path()).unwrap();
                (store::folder(folder.root()).unwrap(), Some(folder))
            }
        };
        let faulty = Arc::new(Faulty {
            store,
            folder: folder.as_ref().map(|folder| folder.root().to_owned()),
            fault,
            count: AtomicI64::new(0),
        });
        let storage = Storage(Arc::new(Inner {
            store: Arc::clone(&faulty) as _,
            folder,
            operations: Operations::default(),
            surely_ended: Duration::ZERO,
        }));
        (storage, faulty)
    }

    async fn put(&self, path: &str) {
        let (storage, _) = self.open(Fault::Dies(i64::MAX));
        let written = storage.write(vec![(path.into(), content(path))]).await;
        written.unwrap().keep().await;
    }

    /// Every file, in the trash or not, with its content.
    async fn files(&self) -> BTreeMap<String, Bytes> {
        match self {
            Self::Folder(root) => {
                let mut files = BTreeMap::new();
                walk(root.path(), root.path(), &mut files);
                files
            }
            Self::Bucket(store) => {
                let mut files = BTreeMap::new();
                let mut listed = store.list(None);
                while let Some(found) = listed.next().await {
                    let path = found.unwrap().location;
                    let bytes = store.get(&path).await.unwrap().bytes().await.unwrap();
                    files.insert(path.to_string(), bytes);
                }
                files
            }
        }
    }
}

/// Files below a folder but for the lock; an empty folder counts as a file.
fn walk(root: &FilePath, folder: &FilePath, files: &mut BTreeMap<String, Bytes>) {
    let entries: Vec<_> = fs::read_dir(folder).unwrap().map(Result::unwrap).collect();
    if entries.is_empty() && folder != root {
        files.insert(format!("{}/", folder.display()), Bytes::new());
    }
    for entry in entries {
        let path = entry.path();
        match entry.file_type().unwrap().is_dir() {
            true => walk(root, &path, files),
            false if entry.file_name() == ".lock" => {}
            false => {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                files.insert(name.to_owned(), fs::read(&path).unwrap().into());
            }
        }
    }
}

fn content(path: &str) -> Bytes {
    Bytes::from(format!("the content of {path}"))
}

/// A transaction with files.
#[derive(Debug, Clone)]
struct Scenario {
    /// Files that are there before; the transaction discards the first of them.
    before: usize,
    discarded: usize,
    written: usize,
    ending: Ending,
}

#[derive(Debug, Clone, Copy)]
enum Ending {
    Commits,
    Fails,
    /// Nobody tells the files how it ended.
    Cancelled {
        committed: bool,
    },
}

fn scenarios() -> impl Strategy<Value = Scenario> {
    let ending = prop_oneof![
        Just(Ending::Commits),
        Just(Ending::Fails),
        any::<bool>().prop_map(|committed| Ending::Cancelled { committed }),
    ];
    (0..4_usize, 0..3_usize, ending)
        .prop_flat_map(|(before, written, ending)| {
            (0..=before).prop_map(move |discarded| Scenario {
                before,
                discarded,
                written,
                ending,
            })
        })
        .prop_filter("nothing to do", |one| one.discarded + one.written > 0)
}

impl Scenario {
    fn old(&self) -> Vec<String> {
        (0..self.before)
            .map(|n| format!("flyers/{n}/old.jpg"))
            .collect()
    }

    fn added(&self) -> Vec<String> {
        (0..self.written)
            .map(|n| format!("flyers/{n}/new.jpg"))
            .collect()
    }

    /// What a service does; the rows change only where the database commits.
    async fn run(&self, storage: &Storage, rows: &mut HashSet<String>) {
        let files = self.added().into_iter().map(|path| {
            let bytes = content(&path);
            (path, bytes)
        });
        let Ok(written) = storage.write(files.collect()).await else {
            return;
        };
        let discarded = self.old()[..self.discarded].to_vec();
        let Ok(discarded) = storage.discard(discarded).await else {
            return written.undo().await;
        };
        self.end(written, discarded, rows).await;
    }

    async fn end(&self, written: Written, discarded: Discarded, rows: &mut HashSet<String>) {
        let mut commit = || {
            self.old()[..self.discarded].iter().for_each(|path| {
                rows.remove(path);
            });
            rows.extend(self.added());
        };
        match self.ending {
            Ending::Commits => {
                commit();
                written.keep().await;
                discarded.delete().await;
            }
            Ending::Fails => {
                written.undo().await;
                let _ = discarded.restore().await;
            }
            Ending::Cancelled { committed: true } => commit(),
            Ending::Cancelled { committed: false } => {}
        }
    }

    /// Runs it with a fault in a new place. Whether the fault was reached.
    async fn suffer(&self, place: &Place, fault: Fault) -> (HashSet<String>, bool) {
        let mut rows = HashSet::new();
        for path in self.old() {
            place.put(&path).await;
            rows.insert(path);
        }
        let (storage, store) = place.open(fault);
        self.run(&storage, &mut rows).await;
        let (Fault::Dies(at) | Fault::Fails(at) | Fault::Loses(at)) = fault;
        (rows, store.count.load(Ordering::Relaxed) > at)
    }
}

/// A start of the service; whether its recovery came to its end.
async fn restart(place: &Place, rows: &HashSet<String>, fault: Fault) -> bool {
    let (storage, _) = place.open(fault);
    let named = |asked: Vec<String>| async move {
        Ok::<_, Infallible>(
            asked
                .into_iter()
                .filter(|path| rows.contains(path))
                .collect(),
        )
    };
    storage.recover(named).await.is_ok()
}

async fn assert_agreement(place: &Place, rows: &HashSet<String>, story: &str) {
    let expected: BTreeMap<_, _> = rows.iter().map(|row| (row.clone(), content(row))).collect();
    assert_eq!(place.files().await, expected, "{story}");
}

async fn rows_and_files_agree(scenario: &Scenario, new_place: impl Fn() -> Place, step: usize) {
    for make in [Fault::Dies, Fault::Fails, Fault::Loses] {
        for at in 0.. {
            let mut reached = true;
            for again in (0..).step_by(step) {
                let place = new_place();
                let (rows, faulty) = scenario.suffer(&place, make(at)).await;
                reached = faulty;
                let through = restart(&place, &rows, Fault::Dies(again)).await;
                assert!(restart(&place, &rows, Fault::Dies(i64::MAX)).await);
                let story = format!(
                    "{scenario:?}, {:?}, then recovery dies at {again}",
                    make(at)
                );
                assert_agreement(&place, &rows, &story).await;
                if through {
                    break;
                }
            }
            if !reached {
                break;
            }
        }
    }
}

fn block_on(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn rows_and_files_of_a_bucket_agree_wherever_the_process_dies(scenario in scenarios()) {
        let bucket = || Place::Bucket(Arc::new(InMemory::new()));
        block_on(rows_and_files_agree(&scenario, bucket, 1));
    }
}

proptest! {
    // Each case makes hundreds of files that are flushed to the disk.
    #![proptest_config(ProptestConfig { cases: 2, failure_persistence: None, ..Default::default() })]

    #[test]
    fn rows_and_files_of_a_folder_agree_wherever_the_process_dies(scenario in scenarios()) {
        let folder = || Place::Folder(tempfile::tempdir().unwrap());
        block_on(rows_and_files_agree(&scenario, folder, 2));
    }
}

#[tokio::test]
async fn without_a_recovery_rows_and_files_would_disagree() {
    let scenario = Scenario {
        before: 2,
        discarded: 1,
        written: 2,
        ending: Ending::Commits,
    };
    let mut disagreements = Vec::new();
    for at in 0..12 {
        let place = Place::Bucket(Arc::new(InMemory::new()));
        let (rows, _) = scenario.suffer(&place, Fault::Dies(at)).await;
        let files: HashSet<_> = place.files().await.into_keys().collect();
        if files != rows {
            disagreements.push(at);
        }
    }
    // Two markers, two files, a copy and a delete, the commit, and three entries to drop.
    assert_eq!(disagreements, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[tokio::test]
async fn a_write_that_fails_leaves_nothing_and_a_discard_that_fails_moves_all_back() {
    let place = Place::Bucket(Arc::new(InMemory::new()));
    place.put("a.jpg").await;
    place.put("b.jpg").await;
    let before = place.files().await;
    let (storage, _) = place.open(Fault::Fails(3));
    let files = ["c.jpg", "d.jpg"].map(|path| (path.to_owned(), content(path)));
    // Two markers, then one of the two files.
    let failed = storage.write(files.to_vec()).await.unwrap_err();
    assert_eq!(failed.to_string(), "cannot write `d.jpg`");
    let left = place.files().await;
    let left: Vec<_> = left
        .keys()
        .filter(|path| !before.contains_key(*path))
        .collect();
    // The request for d.jpg failed without saying whether it was carried out.
    assert!(left.len() == 1 && left[0].ends_with("/d.jpg"), "{left:?}");
    assert!(
        restart(
            &place,
            &["a.jpg", "b.jpg"].map(String::from).into(),
            Fault::Dies(99)
        )
        .await
    );
    assert_eq!(place.files().await, before);

    let (storage, _) = place.open(Fault::Fails(2));
    let paths = vec!["a.jpg".to_owned(), "b.jpg".to_owned()];
    storage.discard(paths).await.unwrap_err();
    assert_eq!(place.files().await, before);
}

#[tokio::test]
async fn young_entries_of_another_process_are_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let url = StorageUrl::Folder(root.path().to_owned());
    let nothing = |_| async { Ok::<_, Infallible>(HashSet::new()) };
    let first = Storage::open(&url).unwrap();
    let written = first
        .write(vec![("a.jpg".into(), content("a.jpg"))])
        .await
        .unwrap();
    // A second process beside it, and the first one itself.
    for storage in [&Storage::open(&url).unwrap(), &first] {
        let recovered = storage.recover(nothing).await.unwrap();
        assert_eq!((recovered.waiting, recovered.deleted), (1, 0));
    }
    // Nor once somebody has let go of it: the transaction could still be committing.
    drop(written);
    assert_eq!(first.recover(nothing).await.unwrap().waiting, 1);
    // The next process is alone: nobody else can be at work on it.
    drop(first);
    let next = Storage::open(&url).unwrap();
    assert_eq!(next.recover(nothing).await.unwrap().deleted, 1);
    assert!(next.get("a.jpg").await.unwrap().is_none());
}
