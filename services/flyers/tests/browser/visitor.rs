//! What a visitor does over and over: signing in, choosing pictures.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::{
    chromium::Page,
    site::{Person, Site},
};

/// Draws pictures that compress about as well as photographs do.
const PHOTO: &str = r"
window.photo = async (width, height, seed) => {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  let state = seed * 7919 + 1;
  const random = () => { state = (state * 48271) % 2147483647; return state / 2147483647; };
  const hue = random() * 360;
  const sky = context.createLinearGradient(0, 0, 0, height);
  sky.addColorStop(0, `hsl(${hue} 70% 78%)`);
  sky.addColorStop(1, `hsl(${hue + 40} 65% 45%)`);
  context.fillStyle = sky;
  context.fillRect(0, 0, width, height);
  for (let spot = 0; spot < 400; spot += 1) {
    context.fillStyle = `hsl(${hue + random() * 60} ${40 + random() * 50}% ${25 + random() * 55}% / ${0.1 + random() * 0.4})`;
    context.beginPath();
    context.arc(random() * width, height * (0.3 + random() * 0.7), random() * width / 9, 0, 7);
    context.fill();
  }
  const blob = await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.9 });
  return new File([blob], `photo-${seed}.jpg`, { type: 'image/jpeg' });
};
window.choose = async (selector, sizes) => {
  const input = document.querySelector(selector);
  const files = new DataTransfer();
  for (const [width, height, seed] of sizes) files.items.add(await window.photo(width, height, seed));
  input.files = files.files;
  input.dispatchEvent(new Event('change', { bubbles: true }));
};
window.post = async (path, token, values, files) => {
  const form = new FormData();
  for (const [name, value] of Object.entries(values)) form.append(name, value);
  files.forEach(([name, file]) => form.append(name, file, file.name));
  const answer = await fetch(path, { method: 'POST', body: form, headers: { authorization: `Bearer ${token}` } });
  return { status: answer.status, body: await answer.json() };
};
";

static NEXT: AtomicU32 = AtomicU32::new(1);

impl Page {
    /// Signs in without the form; takes effect with the next document.
    pub(crate) fn become_person(&self, person: &Person) {
        let session = json!({ "token": person.token, "userId": person.id }).to_string();
        self.eval(&format!(
            "localStorage.setItem('flyers.session', {session:?})"
        ));
    }

    /// Chooses drawn pictures in a file input.
    pub(crate) fn choose(&self, selector: &str, sizes: &[(u32, u32)]) {
        self.eval(PHOTO);
        let sizes: Vec<_> = sizes
            .iter()
            .map(|(width, height)| (width, height, NEXT.fetch_add(1, Ordering::Relaxed)))
            .collect();
        self.eval(&format!("window.choose({selector:?}, {})", json!(sizes)));
    }

    /// Sends a form with drawn pictures past the page's own views.
    pub(crate) fn post_pictures(
        &self,
        path: &str,
        person: &Person,
        values: &Value,
        names: &[&str],
    ) -> Value {
        self.eval(PHOTO);
        let drawn: Vec<_> = names
            .iter()
            .map(|name| {
                format!(
                    "[{name:?}, await window.photo(960, 1200, {})]",
                    NEXT.fetch_add(1, Ordering::Relaxed)
                )
            })
            .collect();
        let answer = self.eval(&format!(
            "(async () => window.post({path:?}, {:?}, {values}, [{}]))()",
            person.token,
            drawn.join(", ")
        ));
        let status = answer["status"].as_i64().unwrap();
        assert!((200..300).contains(&status), "{answer}");
        answer["body"].clone()
    }

    /// Ids of the flyers in a list, from the first.
    pub(crate) fn flyers(&self) -> Vec<i64> {
        let ids = self.eval("[...document.querySelectorAll('li[data-flyer]')].map((one) => Number(one.dataset.flyer))");
        serde_json::from_value(ids).unwrap()
    }
}

impl Site {
    /// Somebody with a picture and flyers with a picture each, made through the API.
    pub(crate) fn creator_with_pictures(
        &self,
        page: &Page,
        name: &str,
        flyers: usize,
    ) -> (Person, Vec<i64>) {
        let person = self.register(&format!("{}@example.org", name.to_lowercase()), name);
        page.open("/login");
        page.post_pictures(
            "/api/users/me/profile/picture/",
            &person,
            &json!({}),
            &["image"],
        );
        let ids = (0..flyers)
            .map(|number| {
                let values = json!({
                    "title": format!("Evening number {number}"), "caption": "Music until late.",
                    "category_tags": "events", "location_address": "Seestrasse 1, 8002 Zürich Enge",
                });
                let made = page.post_pictures("/api/v1/flyers/", &person, &values, &["image_1"]);
                made["id"].as_i64().unwrap()
            })
            .collect();
        (person, ids)
    }
}
