//! The pictures of seeded rows, and the flyers that are seeded to be deleted.

use flyers::seed::{PASSWORD, Plan};
use serde_json::json;
use service_kit::database::query;

use crate::{agreement::size_of, running::Running};

/// Files below the folder of stored files.
fn files(service: &Running, folder: &str) -> usize {
    fn count(at: &std::path::Path) -> usize {
        let entries = std::fs::read_dir(at).into_iter().flatten();
        entries
            .map(|entry| entry.unwrap().path())
            .map(|path| if path.is_dir() { count(&path) } else { 1 })
            .sum()
    }
    count(&service.media().join(folder))
}

fn every_row_has_its_files(service: &Running) {
    let flyers: Vec<(String,)> = service.rows(query("SELECT DISTINCT path FROM flyer_images"));
    let users = "SELECT DISTINCT profile_picture FROM profiles WHERE profile_picture IS NOT NULL";
    let users: Vec<(String,)> = service.rows(query(users));
    for (paths, thumbnail) in [(flyers, "_300"), (users, "_128")] {
        assert!(!paths.is_empty());
        for (path,) in paths {
            let name = path.strip_suffix(".jpg").unwrap();
            for file in [path.clone(), format!("{name}{thumbnail}.jpg")] {
                let file = service.media().join(file);
                assert!(file.exists(), "{}", file.display());
            }
        }
    }
}

#[test]
fn seeded_rows_have_files_and_each_listed_user_a_flyer_to_delete() {
    let service = Running::empty();
    let csv = service.media().join("../users.csv");
    let mut plan = Plan {
        scale: 300,
        seed: 7,
        users_csv: Some(csv.clone()),
        storage: Some(service.storage.clone()),
        ..Plan::default()
    };
    let seed = |plan: &Plan| {
        service
            .runtime
            .block_on(flyers::seed::run(&service.database, plan))
            .unwrap()
    };
    seed(&plan);
    every_row_has_its_files(&service);
    let samples = files(&service, "samples");
    assert_eq!(files(&service, "flyers"), 200 * 10);
    assert_eq!(service.count("flyers"), 500);

    let text = std::fs::read_to_string(&csv).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("email,password,user_id,doomed"));
    assert_eq!(lines.clone().count(), 200);
    let last: Vec<&str> = lines.next_back().unwrap().split(',').collect();
    let login = json!({ "email": last[0], "password": PASSWORD });
    let login = service.post("/api/v1/auth/login/", &login).expect(200);
    let token = login["token"].as_str().unwrap();
    let path = format!("/api/v1/flyers/{}/", last[3]);
    let flyer = service.get_as(token, &path).expect(200);
    assert_eq!(
        (&flyer["is_owner"], &flyer["status"]),
        (&json!(true), &json!("active"))
    );
    let images = flyer["images"].as_array().unwrap();
    assert_eq!(images.len(), 5);
    for image in images {
        let mut answer = service
            .agent()
            .get(image["url"].as_str().unwrap())
            .call()
            .unwrap();
        let bytes = answer.body_mut().read_to_vec().unwrap();
        assert_eq!(size_of(&bytes), Some((2048, 1536)));
    }
    let liked = format!(
        "SELECT count(*) FROM favorites AS v WHERE v.flyer_id = {}",
        last[3]
    );
    assert_eq!(
        service.rows::<(i64,)>(query(liked.clone())),
        [(199,)],
        "all others"
    );
    assert_eq!(service.delete_as(token, &path).status, 204);
    assert_eq!(service.rows::<(i64,)>(query(liked)), [(0,)]);
    assert_eq!(files(&service, "flyers"), 199 * 10);
    every_row_has_its_files(&service);

    // Once more: what belonged to the old rows goes with them.
    plan.replace = true;
    seed(&plan);
    every_row_has_its_files(&service);
    assert_eq!(files(&service, "flyers"), 200 * 10);
    assert_eq!(files(&service, "samples"), samples);
    assert_eq!(files(&service, "trash"), 0);
}
