//! Headless Chromium over its DevTools protocol: as much of it as these tests need.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{BufRead as _, BufReader},
    net::TcpStream,
    process::{Child, Command, Stdio},
    rc::Rc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

/// What a wait is given before the test fails: far more than any step takes.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes per second and latency of the 4G profile: 10/5 Mbps, 50 ms.
const DOWN: f64 = 1_250_000.0;
const UP: f64 = 625_000.0;
const LATENCY_MS: f64 = 50.0;

/// A browser of its own for one test.
pub(crate) struct Browser {
    wire: Rc<RefCell<Wire>>,
    process: Child,
    _profile: tempfile::TempDir,
}

/// The socket; answers and events of all pages come through it.
struct Wire {
    socket: WebSocket<TcpStream>,
    next: u64,
    events: VecDeque<Value>,
    /// Faults that pages reported: exceptions and what the policy refused.
    faults: Vec<String>,
    slow: bool,
}

/// A tab. Tabs of one context share cookies, storage and caches.
pub(crate) struct Page {
    wire: Rc<RefCell<Wire>>,
    session: String,
    target: String,
    context: String,
    origin: String,
}

impl Browser {
    pub(crate) fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut process = Command::new("chromium")
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
                "--remote-debugging-port=0",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("cannot start chromium: {error}; install it with apt-get install chromium")
            });
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("listening on ")?.1.to_owned()))
            .expect("chromium ended before it listened");
        // Its log must be read to the end, or it stops when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        let address = url.trim_start_matches("ws://").split('/').next().unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        // A browser that says nothing is a failure, not a reason to wait for ever.
        stream.set_read_timeout(Some(2 * PATIENCE)).unwrap();
        let (socket, _) = tungstenite::client(&url, stream).unwrap();
        Self {
            wire: Rc::new(RefCell::new(Wire {
                socket,
                next: 0,
                events: VecDeque::new(),
                faults: Vec::new(),
                slow: false,
            })),
            process,
            _profile: profile,
        }
    }

    /// A tab of a new visitor: nothing stored, nothing cached.
    pub(crate) fn visitor(&self, origin: &str) -> Page {
        let context = self.call("Target.createBrowserContext", json!({}));
        Page::open_in(&self.wire, origin, text(&context, "browserContextId"))
    }

    fn call(&self, method: &str, params: Value) -> Value {
        self.wire.borrow_mut().call(None, method, params)
    }

    /// Fails if any page threw an exception or did what its policy forbids.
    pub(crate) fn expect_no_faults(&self) {
        let faults = std::mem::take(&mut self.wire.borrow_mut().faults);
        assert!(faults.is_empty(), "the page reported {faults:#?}");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The command may be a wrapper: asked to close, the browser itself ends.
        self.wire
            .borrow_mut()
            .send(None, "Browser.close", json!({}));
        let deadline = Instant::now() + Duration::from_secs(10);
        while matches!(self.process.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ended = self.process.kill();
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _reaped = self.process.wait();
    }
}

impl Wire {
    fn send(&mut self, session: Option<&str>, method: &str, params: Value) -> u64 {
        self.next += 1;
        let mut message = json!({ "id": self.next, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        // Closing is the last thing sent; the browser may be gone already.
        let _sent = self.socket.send(Message::text(message.to_string()));
        self.next
    }

    fn call(&mut self, session: Option<&str>, method: &str, params: Value) -> Value {
        self.try_call(session, method, params)
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// The answer, or the error of the protocol: that a document went away, for one.
    fn try_call(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<Value, String> {
        let id = self.send(session, method, params);
        let deadline = Instant::now() + 2 * PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "{method} was not answered");
            let message = self.read();
            if message["id"] == id {
                return match &message["error"] {
                    Value::Null => Ok(message["result"].clone()),
                    error => Err(error.to_string()),
                };
            }
        }
    }

    fn read(&mut self) -> Value {
        loop {
            let message = self.socket.read().expect("chromium hung up or is stuck");
            let Message::Text(text) = message else {
                continue;
            };
            let message: Value = serde_json::from_str(&text).unwrap();
            self.note(&message);
            return message;
        }
    }

    fn note(&mut self, message: &Value) {
        let params = &message["params"];
        match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => {
                let details = &params["exceptionDetails"];
                let said = details["exception"]["description"].as_str();
                let fault = said.or(details["text"].as_str()).unwrap_or_default();
                self.faults.push(fault.to_owned());
            }
            Some("Log.entryAdded") => {
                let entry = &params["entry"];
                if entry["source"] == "security" {
                    self.faults.push(entry["text"].to_string());
                }
            }
            // Workers have a network of their own.
            Some("Target.attachedToTarget") if self.slow => {
                let session = text(params, "sessionId");
                self.slow_down(&session);
            }
            Some(_) => self.events.push_back(message.clone()),
            None => {}
        }
        while self.events.len() > 1000 {
            self.events.pop_front();
        }
    }

    fn slow_down(&mut self, session: &str) {
        self.send(Some(session), "Network.enable", json!({}));
        let conditions = json!({
            "offline": false, "latency": LATENCY_MS,
            "downloadThroughput": DOWN, "uploadThroughput": UP,
        });
        self.send(
            Some(session),
            "Network.emulateNetworkConditions",
            conditions,
        );
    }
}

impl Page {
    fn open_in(wire: &Rc<RefCell<Wire>>, origin: &str, context: String) -> Self {
        let mut open = wire.borrow_mut();
        let created = open.call(
            None,
            "Target.createTarget",
            json!({ "url": "about:blank", "browserContextId": context }),
        );
        let target = text(&created, "targetId");
        let attached = open.call(
            None,
            "Target.attachToTarget",
            json!({ "targetId": target, "flatten": true }),
        );
        drop(open);
        let page = Self {
            wire: Rc::clone(wire),
            session: text(&attached, "sessionId"),
            target,
            context,
            origin: origin.to_owned(),
        };
        for domain in ["Page", "Runtime", "Log"] {
            page.call(&format!("{domain}.enable"), json!({}));
        }
        let attach =
            json!({ "autoAttach": true, "waitForDebuggerOnStart": false, "flatten": true });
        page.call("Target.setAutoAttach", attach);
        // A tab behind another one gets its keys all the same.
        page.call(
            "Emulation.setFocusEmulationEnabled",
            json!({ "enabled": true }),
        );
        page.size(1280, 800);
        page
    }

    /// Another tab of the same visitor.
    pub(crate) fn another_tab(&self) -> Self {
        Self::open_in(&self.wire, &self.origin, self.context.clone())
    }

    pub(crate) fn call(&self, method: &str, params: Value) -> Value {
        let mut wire = self.wire.borrow_mut();
        wire.call(Some(&self.session), method, params)
    }

    pub(crate) fn close(self) {
        let mut wire = self.wire.borrow_mut();
        wire.call(
            None,
            "Target.closeTarget",
            json!({ "targetId": self.target }),
        );
    }

    /// From now on as over 4G, workers included.
    pub(crate) fn over_4g(&self) {
        let mut wire = self.wire.borrow_mut();
        wire.slow = true;
        wire.slow_down(&self.session);
    }

    /// Width and height in CSS pixels; narrow ones are phones with a touch screen.
    pub(crate) fn size(&self, width: u32, height: u32) {
        let mobile = width < 600;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": if mobile { 2 } else { 1 }, "mobile": mobile });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        self.call(
            "Emulation.setTouchEmulationEnabled",
            json!({ "enabled": mobile }),
        );
    }

    /// Lets the page know where it is, or refuses.
    pub(crate) fn place(&self, at: Option<(f64, f64)>) {
        let state = if at.is_some() { "granted" } else { "denied" };
        self.wire.borrow_mut().call(
            None,
            "Browser.setPermission",
            json!({
                "permission": { "name": "geolocation" }, "setting": state,
                "origin": self.origin, "browserContextId": self.context,
            }),
        );
        if let Some((latitude, longitude)) = at {
            let place = json!({ "latitude": latitude, "longitude": longitude, "accuracy": 10 });
            self.call("Emulation.setGeolocationOverride", place);
        }
    }

    /// Goes to a path in a new document and waits until the view is ready.
    pub(crate) fn open(&self, path: &str) {
        self.eval("window.left = true");
        let url = format!("{}{path}", self.origin);
        let gone = self.call("Page.navigate", json!({ "url": url }));
        assert!(gone["errorText"].is_null(), "{url}: {}", gone["errorText"]);
        self.wait("!window.left && window.speedwellStats?.readyMs != null");
    }

    /// Loads the document again, as F5 does.
    pub(crate) fn reload(&self) {
        self.eval("window.left = true");
        self.call("Page.reload", json!({}));
        self.wait("!window.left && window.speedwellStats?.readyMs != null");
    }

    /// The value of an expression; promises are awaited.
    pub(crate) fn eval(&self, expression: &str) -> Value {
        self.try_eval(expression)
            .unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    fn try_eval(&self, expression: &str) -> Result<Value, String> {
        let asked = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true });
        let mut wire = self.wire.borrow_mut();
        let answer = wire.try_call(Some(&self.session), "Runtime.evaluate", asked)?;
        let details = &answer["exceptionDetails"];
        if details.is_null() {
            Ok(answer["result"]["value"].clone())
        } else {
            Err(details["exception"]["description"].to_string())
        }
    }

    pub(crate) fn text(&self, selector: &str) -> String {
        let text = self.eval(&format!(
            "document.querySelector({selector:?})?.innerText ?? ''"
        ));
        text.as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn number(&self, expression: &str) -> f64 {
        let value = self.eval(expression);
        value
            .as_f64()
            .unwrap_or_else(|| panic!("{expression} is {value}"))
    }

    pub(crate) fn is(&self, condition: &str) -> bool {
        self.eval(&format!("Boolean({condition})")) == true
    }

    /// Waits until a condition of the page holds.
    pub(crate) fn wait(&self, condition: &str) {
        let deadline = Instant::now() + PATIENCE;
        // A document that is just being replaced cannot be asked.
        while self.try_eval(&format!("(async () => Boolean(await ({condition})))()"))
            != Ok(json!(true))
        {
            if Instant::now() > deadline {
                let seen =
                    self.try_eval("location.href + '\\n' + document.body.innerText.slice(0, 1500)");
                let faults = &self.wire.borrow().faults;
                panic!(
                    "waited in vain for {condition}; the page shows {seen:?}, reported {faults:?}"
                );
            }
            std::thread::sleep(Duration::from_millis(15));
        }
    }

    /// Waits for an element, scrolls it into sight and clicks it with the mouse.
    pub(crate) fn click(&self, selector: &str) {
        self.click_found(&format!("document.querySelector({selector:?})"));
    }

    /// The same for a link or button by its words.
    pub(crate) fn click_words(&self, words: &str) {
        let inside = "(document.querySelector('dialog[open]') ?? document)";
        self.click_found(&format!(
            "[...{inside}.querySelectorAll('button, a, summary, label')].find((one) => (one.innerText.trim() || one.getAttribute('aria-label')) === {words:?})"
        ));
    }

    fn click_found(&self, finder: &str) {
        self.wait(&format!(
            "(({finder})?.getBoundingClientRect().width ?? 0) > 0"
        ));
        // What is still moving, or pushed on by what loads, would be missed.
        let find_middle = format!(
            "(async () => {{
               for (let before = null, tries = 0; tries < 200; tries += 1) {{
                 const found = {finder};
                 found?.scrollIntoView({{ block: 'center', behavior: 'instant' }});
                 const box = found?.getBoundingClientRect();
                 const at = box && [box.x + box.width / 2, box.y + box.height / 2];
                 if (at && before && at[0] === before[0] && at[1] === before[1] && found.contains(document.elementFromPoint(...at))) return at;
                 before = at;
                 await new Promise((resolve) => setTimeout(resolve, 40));
               }}
               return null;
             }})()"
        );
        let middle = self.eval(&find_middle);
        assert!(
            !middle.is_null(),
            "{finder} never holds still or is covered"
        );
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": middle[0], "y": middle[1], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Types over what a field holds.
    pub(crate) fn fill(&self, selector: &str, text: &str) {
        self.wait(&format!("document.querySelector({selector:?})"));
        self.eval(&format!("(() => {{ const field = document.querySelector({selector:?}); field.focus(); field.select?.(); }})()"));
        if text.is_empty() {
            self.press("Backspace");
        } else {
            self.call("Input.insertText", json!({ "text": text }));
        }
    }

    /// Presses a key: `Tab`, `Enter`, `Escape`, `ArrowRight`, …
    pub(crate) fn press(&self, key: &str) {
        self.press_with(key, 0);
    }

    /// With modifiers: 8 is shift.
    pub(crate) fn press_with(&self, key: &str, modifiers: u32) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            "Backspace" => (8, ""),
            " " => (32, " "),
            "ArrowLeft" => (37, ""),
            "ArrowRight" => (39, ""),
            other => panic!("no such key: {other}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({ "type": kind, "key": key, "code": if key == " " { "Space" } else { key }, "windowsVirtualKeyCode": code, "modifiers": modifiers });
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", event);
        }
    }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap().to_owned()
}
