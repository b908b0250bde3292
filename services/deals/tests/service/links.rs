//! Links: to listings and to collections, for everybody who has one, as long as they last.

use chrono::TimeDelta;
use serde_json::{Value, json};
use service_kit::{clock::now, database::query};

use crate::running::{Running, id, wrong};

#[test]
fn a_link_shows_a_listing_to_anybody_in_the_old_form_and_the_new() {
    let service = Running::empty();
    let listing = service.listing("Dell OptiPlex", 199.5);
    let path = service.share(1, listing);
    let seen = service.get(&path).expect(200);
    assert_eq!(seen["listing_id"], listing);
    assert_eq!(
        (&seen["view_count"], &seen["is_expired"]),
        (&json!(1), &json!(false))
    );
    assert!(path.ends_with(seen["share_token"].as_str().unwrap()));
    assert_eq!(seen["listing"]["cpu"]["name"], "i5-8500T");
    assert_eq!(seen["og"]["title"], "Dell OptiPlex");
    let description = seen["og"]["description"].as_str().unwrap();
    assert_eq!(
        description,
        "$199.50 · adjusted value $189.50 · score 71.5 · i5-8500T"
    );
    assert!(seen["og"]["url"].as_str().unwrap().ends_with(&path));
    let share = &seen["share"];
    assert!(share["expires_at"].is_string() && share["token"].is_string());
}

#[test]
fn links_last_180_days_unless_they_say_otherwise() {
    let service = Running::empty();
    let listing = service.listing("A", 5.0);
    let make =
        |body: Value| service.post_by(1, &format!("/api/v1/listings/{listing}/share/"), &body);
    let days = |made: &Value| {
        let end = made["expires_at"]
            .as_str()
            .map(|end| chrono::DateTime::parse_from_rfc3339(end).unwrap());
        end.map(|end| (end.to_utc() - now() + TimeDelta::minutes(1)).num_days())
    };
    assert_eq!(days(&make(json!({})).expect(201)), Some(180));
    assert_eq!(
        days(&make(json!({ "expires_in_days": 3 })).expect(201)),
        Some(3)
    );
    assert_eq!(
        days(&make(json!({ "expires_in_days": 0 })).expect(201)),
        None
    );
    for wrong_days in [-1, 3651] {
        assert_eq!(
            wrong(&make(json!({ "expires_in_days": wrong_days }))),
            ["expires_in_days"]
        );
    }
    let nothing = service.post_by(1, "/api/v1/listings/999/share/", &json!({}));
    assert_eq!(nothing.status, 404);
    assert_eq!(
        service
            .post(&format!("/api/v1/listings/{listing}/share/"), &json!({}))
            .status,
        401
    );
}

#[test]
fn what_is_no_link_is_not_found_in_the_words_of_the_paper() {
    let service = Running::empty();
    let (listing, other) = (service.listing("A", 5.0), service.listing("B", 6.0));
    let path = service.share(1, listing);
    let token = path.rsplit('/').next().unwrap();
    for wrong in [
        format!("/api/v1/deals/{other}/{token}"),
        format!("/api/v1/deals/x/{token}"),
        format!("/api/v1/deals/{listing}/{}", "a".repeat(64)),
        format!("/api/v1/deals/{listing}/short"),
        format!("/api/v1/deals/{listing}/%00%ff"),
    ] {
        let answer = service.get(&wrong).expect(404);
        assert_eq!(answer["detail"], "Share not found", "{wrong}");
    }
    let past = now() - TimeDelta::seconds(1);
    service.run(query("UPDATE listing_share SET expires_at = $1").bind(past));
    // Nobody told the cache: it has not been asked yet.
    assert_eq!(
        service.get(&path).expect(404)["detail"],
        "Share has expired"
    );
}

#[test]
fn its_maker_alone_lists_and_revokes_a_link() {
    let service = Running::empty();
    let listing = service.listing("A", 5.0);
    let path = service.share(1, listing);
    let token = path.rsplit('/').next().unwrap();
    service.get(&path).expect(200);
    let list = |user: i64| {
        service
            .get_by(user, &format!("/api/v1/listings/{listing}/share/"))
            .expect(200)
    };
    let own = list(1);
    assert_eq!(
        (&own[0]["view_count"], &own[0]["share_token"]),
        (&json!(1), &json!(token))
    );
    assert_eq!(list(2), json!([]));
    let revoke = |user: i64| {
        service
            .delete_by(user, &format!("/api/v1/listings/{listing}/share/{token}/"))
            .status
    };
    assert_eq!(revoke(2), 404);
    assert_eq!(service.get(&path).status, 200);
    assert_eq!(revoke(1), 204);
    assert_eq!(service.get(&path).status, 404);
    assert_eq!(revoke(1), 404);
}

#[test]
fn crawlers_and_browsers_get_a_page_that_cannot_be_made_to_run_anything() {
    let service = Running::empty();
    let body = json!({
        "title": "<script>alert(1)</script>\" onload=\"x", "price_usd": 5,
        "listing_url": "javascript:alert(1)",
    });
    let listing = id(&service.post_by(1, "/api/v1/listings/", &body).expect(201));
    let path = service.share(1, listing);
    let page = service.get_with(&path, &[("accept", "text/html,*/*;q=0.8")]);
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(
        page.headers
            .get_all("vary")
            .iter()
            .any(|value| value == "Accept")
    );
    assert!(
        page.text
            .contains("<meta property=\"og:title\" content=\"&lt;script&gt;")
    );
    assert!(page.text.contains("og:description") && page.text.contains("$5.00"));
    for bad in ["<script", "javascript:", "\" onload"] {
        assert!(!page.text.contains(bad), "{bad}");
    }
    let crawler = service.get_with(
        &path,
        &[("accept", "*/*"), ("user-agent", "facebookexternalhit/1.1")],
    );
    assert!(crawler.text.starts_with("<!DOCTYPE html>"));
    let gone = service.get_with("/api/v1/deals/1/x", &[("accept", "text/html")]);
    assert_eq!(gone.status, 404);
    assert!(gone.text.contains("noindex"));
    let with_picture = service.share(1, service.listing("B", 6.0));
    let page = service.get_with(&with_picture, &[("accept", "text/html")]);
    assert!(
        page.text
            .contains("og:image\" content=\"https://img.example/1.jpg\"")
    );
    assert!(page.text.contains("og:image:width\" content=\"1200\""));
}

#[test]
fn a_link_to_a_collection_ends_with_it_its_token_or_its_being_seen() {
    let service = Running::empty();
    let collection = service.collection(1, "unlisted", 2);
    let path = format!("/api/v1/collections/{collection}/share-tokens/");
    let new = || {
        service.post_by(1, &path, &json!({})).expect(201)["token"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let seen = |token: &str| service.get(&format!("/api/v1/collections/shared/{token}/"));
    let (one, other) = (new(), new());
    let view = seen(&one);
    assert_eq!(view.headers["x-view-count"], "1");
    let view = view.expect(200);
    assert_eq!(
        (
            &view["owner_username"],
            &view["items"][1]["listing"]["title"]
        ),
        (&json!("user1"), &json!("Listing 1"))
    );
    assert_eq!(seen(&one).headers["x-view-count"], "2");
    let listed = service.get_by(1, &path).expect(200);
    assert_eq!(
        (
            &listed[1]["token"],
            &listed[1]["view_count"],
            &listed[0]["view_count"]
        ),
        (&json!(one), &json!(2), &json!(0))
    );
    // Ended: at once, once.
    let end = |user: i64, token: &str| service.delete_by(user, &format!("{path}{token}/")).status;
    assert_eq!(end(2, &one), 403);
    assert_eq!(end(1, &one), 204);
    assert_eq!(seen(&one).status, 404);
    assert_eq!(end(1, &one), 404);
    assert_eq!(service.get_by(1, &path).expect(200)[1]["is_expired"], true);
    // Private: at once; shown again, the link works again.
    let show = |visibility: &str| {
        let path = format!("/api/v1/collections/{collection}/visibility/");
        service
            .patch_by(1, &path, &json!({ "visibility": visibility }))
            .expect(200);
    };
    assert_eq!(seen(&other).status, 200);
    show("private");
    assert_eq!(seen(&other).status, 404);
    assert_eq!(service.post_by(1, &path, &json!({})).status, 409);
    show("public");
    assert_eq!(seen(&other).status, 200);
    service.delete_by(1, &format!("/api/v1/collections/{collection}/"));
    assert_eq!(seen(&other).status, 404);
    for (user, status) in [(1, 404), (2, 404)] {
        assert_eq!(service.get_by(user, &path).status, status);
    }
}
