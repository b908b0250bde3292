//! The page behind a link, for people and for programs that make previews of links.

use maud::{DOCTYPE, Markup, html};

use super::page::{OpenGraph, SharePage};
use crate::listing::StorageSummary;

/// The size of pictures that previews show, in pixels (OpenGraph, as Facebook recommends).
const WIDTH: u32 = 1200;
const HEIGHT: u32 = 630;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem;\
color:#1b1b1f;background:#fff}h1{line-height:1.2}img{max-width:100%;border-radius:.5rem}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem}dt{color:#5c5f66}dd{margin:0}\
@media(prefers-color-scheme:dark){body{color:#e6e6ea;background:#17181c}dt{color:#a3a6ad}a{color:#8ab4f8}}";

/// The page of a link that shows something.
pub(super) fn page(share: &SharePage, og: &OpenGraph, views: i64) -> Markup {
    let listing = &share.listing;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (og.title) }
                meta name="description" content=(og.description);
                meta property="og:type" content=(og.kind);
                meta property="og:site_name" content="Deal Brain";
                meta property="og:title" content=(og.title);
                meta property="og:description" content=(og.description);
                meta property="og:url" content=(og.url);
                @if let Some(image) = &og.image {
                    meta property="og:image" content=(image);
                    meta property="og:image:width" content=(WIDTH);
                    meta property="og:image:height" content=(HEIGHT);
                    meta property="og:image:alt" content=(listing.title);
                }
                meta name="twitter:card" content=(if og.image.is_some() { "summary_large_image" } else { "summary" });
                meta name="twitter:title" content=(og.title);
                meta name="twitter:description" content=(og.description);
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { (listing.title) }
                    @if let Some(image) = &og.image {
                        p { img src=(image) alt=(listing.title); }
                    }
                    dl {
                        @for (name, value) in facts(share) {
                            dt { (name) }
                            dd { (value) }
                        }
                    }
                    @if let Some(url) = listing.url.as_deref().filter(|url| is_web(url)) {
                        p { a href=(url) rel="noopener nofollow" { "See the offer" } }
                    }
                    p { small { "Seen " (views) (if views == 1 { " time" } else { " times" }) } }
                }
            }
        }
    }
}

/// The page of a link that shows nothing.
pub(super) fn nothing(message: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (message) }
                style { (maud::PreEscaped(STYLE)) }
            }
            body { main { h1 { (message) } p { "Ask who sent you the link for a new one." } } }
        }
    }
}

fn facts(share: &SharePage) -> Vec<(&'static str, String)> {
    let listing = &share.listing;
    let money = |dollars: f64| format!("${dollars:.2}");
    let storage = |storage: &StorageSummary| {
        storage
            .label
            .clone()
            .or_else(|| Some(format!("{} GB", storage.gb?)))
    };
    [
        ("Price", listing.price_usd.map(money)),
        ("Adjusted value", listing.adjusted_price_usd.map(money)),
        (
            "Score",
            listing.scores.composite.map(|score| format!("{score:.1}")),
        ),
        ("Condition", Some(listing.condition.clone())),
        (
            "Processor",
            listing.cpu.as_ref().map(|cpu| cpu.name.clone()),
        ),
        ("Graphics", listing.gpu.as_ref().map(|gpu| gpu.name.clone())),
        (
            "Memory",
            Some(format!("{} GB", listing.ram.gb)).filter(|_| listing.ram.gb > 0),
        ),
        ("Storage", storage(&listing.primary_storage)),
        ("Ports", listing.ports_profile.clone()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

/// A link of another kind could run a script.
fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}
