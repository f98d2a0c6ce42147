//! http-call: asks another cluster before it lets a request or a response pass.
use guests::{configuration, http_contexts, info, instructions, number_after, path, plugin, setting};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, MapType};
use std::time::Duration;

plugin!(Root);

#[derive(Default, Clone)]
struct Settings {
    cluster: String,
    dead: String,
    timeout: Duration,
}

#[derive(Default)]
struct Root {
    settings: Settings,
}

impl Context for Root {
    fn on_http_call_response(&mut self, _: u32, headers: usize, body: usize, trailers: usize) {
        info(&format!("root call answered: {headers} {body} {trailers}"));
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let lines = instructions(&configuration(BufferType::PluginConfiguration), 2);
        self.settings = Settings {
            cluster: setting(&lines, "cluster", "auth"),
            dead: setting(&lines, "dead", "dead"),
            timeout: Duration::from_millis(setting(&lines, "timeout_ms", "1000").parse().unwrap_or(1000)),
        };
        if let Ok(period) = setting(&lines, "tick_ms", "").parse() {
            self.set_tick_period(Duration::from_millis(period));
        }
        true
    }
    fn on_tick(&mut self) {
        let sent = call(&self.settings.cluster, "/tick", self.settings.timeout, None);
        info(&format!("root call sent: {}", sent.is_ok()));
    }
    http_contexts!(self, _id => Stream { settings: self.settings.clone(), ..Stream::default() });
}

type Sent = Result<u32, proxy_wasm::types::Status>;

fn call(cluster: &str, path: &str, timeout: Duration, body: Option<&[u8]>) -> Sent {
    let method = if body.is_some() { "POST" } else { "GET" };
    let headers = vec![(":method", method), (":path", path), (":authority", "auth.example"), ("x-from", "guest")];
    hostcalls::dispatch_http_call(cluster, headers, body, vec![], timeout)
}

#[derive(Default)]
struct Stream {
    settings: Settings,
    path: String,
    waiting: u64,
    calls: u64,
    in_response: bool,
}

impl Stream {
    /// Sends what the path asks for; false when nothing was sent.
    fn send(&mut self, path: &str) -> bool {
        let limit = self.settings.timeout;
        let (cluster, dead) = (self.settings.cluster.clone(), self.settings.dead.clone());
        let sent = if path.starts_with("/timeout") {
            call(&cluster, "/slow", Duration::from_millis(50), None)
        } else if path == "/fail" {
            call("no-such-cluster", "/", limit, None)
        } else if path == "/no-path" {
            hostcalls::dispatch_http_call(&cluster, vec![(":method", "GET")], None, vec![], limit)
        } else if path == "/dead" {
            call(&dead, "/", limit, None)
        } else if path == "/body" {
            call(&cluster, "/echo", limit, Some(b"body of the call"))
        } else {
            call(&cluster, path, limit, None)
        };
        match sent {
            Ok(_) => self.waiting += 1,
            Err(status) => {
                let text = format!("not sent: {status:?}\n");
                self.send_http_response(500, vec![("x-call", "not-sent")], Some(text.as_bytes()));
            }
        }
        sent.is_ok()
    }
}

impl Context for Stream {
    fn on_http_call_response(&mut self, _: u32, headers: usize, body_size: usize, trailers: usize) {
        if self.path == "/trap-call" {
            panic!("trap in the answer of a call");
        }
        if self.waiting == 0 {
            info("the answer of a call that nobody waits for");
            return;
        }
        self.waiting -= 1;
        self.calls += 1;
        if self.waiting > 0 {
            return;
        }
        let status = self.get_http_call_response_header(":status").unwrap_or_else(|| "none".into());
        let body = self.get_http_call_response_body(0, body_size.min(64)).unwrap_or_default();
        info(&format!("call answered: {status} {headers} {body_size} {trailers}"));
        let map = if self.in_response { MapType::HttpResponseHeaders } else { MapType::HttpRequestHeaders };
        if !self.in_response && status != "200" {
            let text = format!("refused: {status}\n");
            self.send_http_response(403, vec![("x-call", &status)], Some(text.as_bytes()));
            return;
        }
        hostcalls::set_map_value(map, "x-call-status", Some(&status)).ok();
        hostcalls::set_map_value(map, "x-call-count", Some(&self.calls.to_string())).ok();
        let printable: String = body.iter().map(|b| if (32..127).contains(b) { *b as char } else { '.' }).collect();
        hostcalls::set_map_value(map, "x-call-body", Some(&printable)).ok();
        if self.in_response {
            self.resume_http_response();
        } else {
            self.resume_http_request();
        }
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.path = path();
        let path = self.path.clone();
        if path.starts_with("/pass") || path.starts_with("/response") {
            return Action::Continue;
        }
        if path.starts_with("/forget") {
            call(&self.settings.cluster, "/forget", self.settings.timeout, None).ok();
            return Action::Continue;
        }
        for _ in 0..number_after(&path, "/parallel/").unwrap_or(1) {
            if !self.send(&path) {
                break;
            }
        }
        Action::Pause
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if !self.path.starts_with("/response") {
            return Action::Continue;
        }
        self.in_response = true;
        let path = self.path.clone();
        if self.send(&path) { Action::Pause } else { Action::Continue }
    }
}
