//! Listings, as their documentation and the rulings on it have them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::running::{Running, full_listing, id, wrong};

#[test]
fn a_listing_is_made_read_replaced_changed_and_deleted() {
    let service = Running::empty();
    let made = service
        .post_by(1, "/api/v1/listings/", &full_listing("Dell", 200.0))
        .expect(201);
    let path = format!("/api/v1/listings/{}/", id(&made));
    assert_eq!(service.get_by(2, &path).expect(200), made);
    assert_eq!(
        (&made["cpu"]["cpu_mark_multi"], &made["cpu_name"]),
        (&json!(8000), &json!("i5-8500T"))
    );
    assert_eq!(made["ports_profile"]["ports"][1]["type"], "displayport");
    assert_eq!(
        (&made["ram_type"], &made["ram_speed_mhz"]),
        (&json!("ddr4"), &json!(2666))
    );
    assert_eq!(made["secondary_storage_profile"]["medium"], "hdd");
    assert_eq!(made["thumbnail_url"], "https://img.example/1.jpg");
    assert_eq!(
        made["raw_listing_json"]["image_url"],
        "https://img.example/1.jpg"
    );
    assert_eq!(made["dollar_per_cpu_mark_multi"], 200.0 / 8000.0);
    assert_eq!(made["dollar_per_cpu_mark_single_adjusted"], 190.0 / 2000.0);
    let changed = service
        .patch_by(2, &path, &json!({ "price_usd": 100, "seller": "shop" }))
        .expect(200);
    assert_eq!(
        (&changed["price_usd"], &changed["seller"], &changed["title"]),
        (&json!(100.0), &json!("shop"), &json!("Dell"))
    );
    assert_eq!(changed["dollar_per_cpu_mark_multi"], 100.0 / 8000.0);
    let cleared = service
        .patch_by(1, &path, &json!({ "cpu_id": null, "seller": null }))
        .expect(200);
    assert_eq!(
        (
            &cleared["cpu"],
            &cleared["seller"],
            &cleared["dollar_per_cpu_mark_multi"]
        ),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    // An answer can be sent back as it came.
    assert_eq!(
        service
            .call("PUT", &service.token(1), &path, &cleared)
            .expect(200)["title"],
        "Dell"
    );
    let replaced = service
        .call("PUT", &service.token(1), &path, &json!({ "title": "New" }))
        .expect(200);
    assert_eq!(
        (
            &replaced["price_usd"],
            &replaced["condition"],
            &replaced["gpu"]
        ),
        (&Value::Null, &json!("used"), &Value::Null)
    );
    assert_eq!(service.delete_by(1, &path).status, 204);
    assert_eq!(service.delete_by(1, &path).status, 404);
    assert_eq!(service.get_by(1, &path).status, 404);
    assert_eq!(service.patch_by(1, &path, &json!({})).status, 404);
}

#[test]
fn wrong_listings_are_refused_field_by_field() {
    let service = Running::empty();
    let post = |body: &Value| service.post_by(1, "/api/v1/listings/", body);
    let body = json!({ "title": "", "price_usd": "much", "condition": "broken", "colour": 1 });
    assert_eq!(
        wrong(&post(&body)),
        ["colour", "condition", "price_usd", "title"]
    );
    let unknown = post(&json!({ "title": "A", "gpu_id": 77 })).expect(400);
    assert_eq!(
        unknown["error"]["details"]["gpu_id"],
        "names nothing that there is"
    );
    let item = json!({ "title": "A", "vendor_item_id": "1", "marketplace": "ebay" });
    let first = id(&post(&item).expect(201));
    assert_eq!(post(&item).expect(409)["error"]["code"], "conflict");
    let second = id(
        &post(&json!({ "title": "B", "vendor_item_id": "2", "marketplace": "ebay" })).expect(201),
    );
    let clash = service.patch_by(
        1,
        &format!("/api/v1/listings/{second}/"),
        &json!({ "vendor_item_id": "1" }),
    );
    assert_eq!(clash.status, 409);
    post(&json!({ "title": "A", "vendor_item_id": "1", "marketplace": "amazon" })).expect(201);
    assert_eq!(
        service
            .patch_by(
                1,
                &format!("/api/v1/listings/{first}/"),
                &json!({ "title": null })
            )
            .status,
        422
    );
    assert_eq!(
        service
            .post("/api/v1/listings/", &json!({ "title": "A" }))
            .status,
        401
    );
}

#[test]
fn two_changes_of_one_listing_at_once_are_both_kept() {
    let service = Running::empty();
    let path = format!("/api/v1/listings/{}/", service.listing("A", 5.0));
    let fields = [
        "seller",
        "series",
        "model_number",
        "device_model",
        "notes",
        "ram_notes",
    ];
    std::thread::scope(|scope| {
        for field in fields {
            let (service, path) = (&service, &path);
            scope.spawn(move || {
                for round in 0..5 {
                    service
                        .patch_by(1, path, &json!({ field: format!("{field} {round}") }))
                        .expect(200);
                }
            });
        }
    });
    let listing = service.get_by(1, &path).expect(200);
    for field in fields {
        assert_eq!(listing[field], format!("{field} 4"));
    }
}

#[test]
fn the_newest_come_first_by_offset() {
    let service = Running::empty();
    let made: Vec<i64> = (0..5)
        .map(|number| service.listing(&number.to_string(), 1.0))
        .collect();
    let list = |query: &str| {
        let list = service
            .get_by(1, &format!("/api/v1/listings/?{query}"))
            .expect(200);
        list.as_array().unwrap().iter().map(id).collect::<Vec<_>>()
    };
    assert_eq!(list("limit=2&offset=1"), [made[3], made[2]]);
    for (query, field) in [
        ("offset=-1", "offset"),
        ("limit=201", "limit"),
        ("limit=0", "limit"),
    ] {
        assert_eq!(
            wrong(&service.get_by(1, &format!("/api/v1/listings/?{query}"))),
            [field]
        );
    }
}

/// All ids of a list, page by page.
fn walk(service: &Running, query: &str, limit: usize) -> Vec<i64> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    for _ in 0..100 {
        let path = format!("/api/v1/listings/paginated/?{query}&limit={limit}&cursor={cursor}");
        let page = service.get_by(1, &path).expect(200);
        let items = page["items"].as_array().unwrap();
        all.extend(items.iter().map(id));
        assert_eq!(page["has_next"], page["next_cursor"].is_string());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return all,
        }
        assert_eq!(items.len(), limit);
    }
    panic!("the list does not end");
}

#[test]
fn pages_by_any_column_have_every_row_once_those_without_a_value_last() {
    let service = Running::empty();
    // Ties, and values that are missing, at every place.
    for number in 0..13_i64 {
        let price = (number % 3 != 0).then_some((number % 4) as f64);
        let maker = ["Dell", "HP", "Lenovo"].get((number % 4) as usize);
        let body = json!({
            "title": number.to_string(), "price_usd": price, "adjusted_price_usd": price,
            "manufacturer": maker, "form_factor": maker, "cpu_id": (number % 5 != 0).then_some(1),
        });
        service.post_by(1, "/api/v1/listings/", &body).expect(201);
    }
    let everything: BTreeSet<i64> = walk(&service, "sort_by=created_at", 20)
        .into_iter()
        .collect();
    assert_eq!(everything.len(), 13);
    for sort in [
        "updated_at",
        "created_at",
        "price_usd",
        "adjusted_price_usd",
        "manufacturer",
        "form_factor",
        "dollar_per_cpu_mark_multi",
        "dollar_per_cpu_mark_single",
    ] {
        for order in ["asc", "desc"] {
            let query = format!("sort_by={sort}&sort_order={order}");
            let whole = walk(&service, &query, 20);
            assert_eq!(whole.iter().copied().collect::<BTreeSet<_>>(), everything);
            for limit in [1, 2, 3, 5, 12, 13] {
                assert_eq!(walk(&service, &query, limit), whole, "{query} {limit}");
            }
            let page = service
                .get_by(1, &format!("/api/v1/listings/paginated/?{query}"))
                .expect(200);
            let values: Vec<_> = page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item[sort].clone())
                .collect();
            let first_missing = values
                .iter()
                .position(Value::is_null)
                .unwrap_or(values.len());
            assert!(
                values[first_missing..].iter().all(Value::is_null),
                "{query} {values:?}"
            );
            let there = &values[..first_missing];
            let sorted = there.windows(2).all(|pair| match (&pair[0], &pair[1]) {
                (Value::Number(a), Value::Number(b)) => {
                    (a.as_f64() <= b.as_f64()) == (order == "asc") || a == b
                }
                (Value::String(a), Value::String(b)) => (a <= b) == (order == "asc") || a == b,
                _ => false,
            });
            assert!(sorted, "{query} {values:?}");
        }
    }
}

#[test]
fn totals_are_those_of_the_filters_and_follow_each_change() {
    let service = Running::empty();
    for (maker, price) in [("Dell", 100.0), ("Dell", 200.0), ("HP", 300.0)] {
        let body = json!({ "title": maker, "manufacturer": maker, "price_usd": price, "form_factor": "SFF" });
        service.post_by(1, "/api/v1/listings/", &body).expect(201);
    }
    let total = |query: &str| {
        let page = service
            .get_by(1, &format!("/api/v1/listings/paginated/?limit=1&{query}"))
            .expect(200);
        page["total"].as_i64().unwrap()
    };
    assert_eq!(
        (
            total(""),
            total("manufacturer=Dell"),
            total("min_price=150"),
            total("min_price=150&max_price=250")
        ),
        (3, 2, 2, 1)
    );
    assert_eq!(
        (
            total("form_factor=SFF&manufacturer=HP"),
            total("manufacturer=nobody")
        ),
        (1, 0)
    );
    let made = service.listing("Another", 500.0);
    assert_eq!((total(""), total("manufacturer=Dell")), (4, 3));
    service
        .patch_by(
            1,
            &format!("/api/v1/listings/{made}/"),
            &json!({ "price_usd": 1 }),
        )
        .expect(200);
    assert_eq!(total("min_price=150"), 2);
    service.delete_by(1, &format!("/api/v1/listings/{made}/"));
    assert_eq!((total(""), total("manufacturer=Dell")), (3, 2));
    for (query, field) in [
        ("sort_by=cpu", "sort_by"),
        ("limit=501", "limit"),
        ("min_price=x", "min_price"),
        ("cursor=xyz", "cursor"),
    ] {
        assert_eq!(
            wrong(&service.get_by(1, &format!("/api/v1/listings/paginated/?{query}"))),
            [field],
            "{query}"
        );
    }
}
