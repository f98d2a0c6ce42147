//! grpc-call: makes a gRPC call, or opens a stream, and answers the request with a journal of what came of it.
use guests::{configuration, http_contexts, info, instructions, path, plugin, setting};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, Bytes, Status};
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
    fn on_grpc_call_response(&mut self, _: u32, status: u32, size: usize) {
        info(&format!("root call answered: {status} {size}"));
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let lines = instructions(&configuration(BufferType::PluginConfiguration), 2);
        self.settings = Settings {
            cluster: setting(&lines, "cluster", "grpc"),
            dead: setting(&lines, "dead", "dead"),
            timeout: Duration::from_millis(setting(&lines, "timeout_ms", "2000").parse().unwrap_or(2000)),
        };
        if let Ok(period) = setting(&lines, "tick_ms", "").parse() {
            self.set_tick_period(Duration::from_millis(period));
        }
        true
    }
    fn on_tick(&mut self) {
        self.set_tick_period(Duration::ZERO);
        let sent = call(&self.settings.cluster, "Echo", b"tick", self.settings.timeout);
        info(&format!("root call sent: {}", sent.is_ok()));
    }
    http_contexts!(self, _id => Stream { settings: self.settings.clone(), ..Stream::default() });
}

const SERVICE: &str = "test.Echo";

fn call(target: &str, method: &str, message: &[u8], timeout: Duration) -> Result<u32, Status> {
    let metadata: Vec<(&str, &[u8])> = vec![("x-from", b"guest"), ("x-bin", &[0xe9, 0xff])];
    hostcalls::dispatch_grpc_call(target, SERVICE, method, metadata, Some(message), timeout)
}

/// envoy.config.core.v3.GrpcService with envoy_grpc.cluster_name, and an initial metadatum.
fn grpc_service(cluster: &str) -> String {
    let name = format!("\x0a{}{cluster}", cluster.len() as u8 as char);
    let pair = "\x0a\x09x-service\x12\x03yes";
    format!("\x0a{}{name}\x2a{}{pair}", name.len() as u8 as char, pair.len() as u8 as char)
}

#[derive(Default)]
struct Stream {
    settings: Settings,
    path: String,
    journal: Vec<String>,
    token: u32,
    messages: usize,
}

impl Stream {
    fn note(&mut self, line: String) {
        self.journal.push(line);
    }

    fn reply(&mut self) {
        let text = self.journal.join("\n") + "\n";
        self.send_http_response(200, vec![("x-journal", "1")], Some(text.as_bytes()));
    }

    /// The segment of the path at `index`, from 0.
    fn word(&self, index: usize) -> String {
        self.path.split('/').nth(index + 1).unwrap_or_default().to_string()
    }

    fn message(&self, index: usize) -> Vec<u8> {
        match self.word(index).parse() {
            Ok(size) => vec![b'x'; size],
            Err(_) => b"hello".to_vec(),
        }
    }

    fn start_call(&mut self, kind: &str) -> Result<u32, Status> {
        let Settings { cluster, dead, timeout } = self.settings.clone();
        let method = self.word(1);
        match kind {
            "call-service" => call(&grpc_service(&cluster), &method, &self.message(2), timeout),
            "no-cluster" => call("no-such-cluster", "Echo", b"", timeout),
            "no-cluster-service" => call(&grpc_service("no-such-cluster"), "Echo", b"", timeout),
            "dead" => call(&dead, "Echo", b"", timeout),
            "timeout" => call(&cluster, "Slow", b"", Duration::from_millis(60)),
            "no-timeout" => call(&cluster, &method, &self.message(2), Duration::ZERO),
            _ => call(&cluster, &method, &self.message(2), timeout),
        }
    }

    fn start_stream(&mut self) -> bool {
        let metadata: Vec<(&str, &[u8])> = vec![("x-from", b"guest")];
        let cluster = if self.word(0) == "stream-dead" { &self.settings.dead } else { &self.settings.cluster };
        match hostcalls::open_grpc_stream(cluster, SERVICE, &self.word(1), metadata) {
            Ok(token) => self.token = token,
            Err(status) => {
                self.note(format!("not opened: {status:?}"));
                return false;
            }
        }
        self.note(format!("opened {}", self.token & 3));
        let count = self.word(2).parse().unwrap_or(1);
        for index in 0..count {
            let text = format!("m{index}");
            let sent = hostcalls::send_grpc_stream_message(self.token, Some(text.as_bytes()), false);
            if let Err(status) = sent {
                self.note(format!("not sent: {status:?}"));
            }
        }
        if self.word(0) == "stream" {
            hostcalls::close_grpc_stream(self.token).ok();
        }
        true
    }
}

fn shown(bytes: Option<Bytes>, size: usize) -> String {
    let bytes = bytes.unwrap_or_default();
    let text: String = bytes.iter().take(24).map(|b| if (32..127).contains(b) { *b as char } else { '.' }).collect();
    format!("{size} {text}")
}

fn pairs_shown(pairs: Vec<(String, Bytes)>) -> String {
    let mut names: Vec<String> = pairs
        .into_iter()
        .filter(|(name, _)| name != "date")
        .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(&value)))
        .collect();
    names.sort();
    names.join(" ")
}

impl Context for Stream {
    fn on_grpc_call_response(&mut self, token: u32, status: u32, size: usize) {
        if self.path.starts_with("/trap-call") {
            panic!("trap in the answer of a gRPC call");
        }
        let known = token == self.token;
        let (code, message) = self.get_grpc_status();
        if status == 0 {
            let body = shown(self.get_grpc_call_response_body(0, size), size);
            self.note(format!("answer {known} {body}"));
        } else {
            self.note(format!("failure {known} {status} {code} {}", message.unwrap_or_default()));
        }
        self.reply();
    }

    fn on_grpc_stream_initial_metadata(&mut self, _: u32, count: u32) {
        let pairs = self.get_grpc_stream_initial_metadata();
        let one = self.get_grpc_stream_initial_metadata_value("x-initial");
        self.note(format!("initial {count}: {} ({})", pairs_shown(pairs), one.is_some()));
    }

    fn on_grpc_stream_message(&mut self, token: u32, size: usize) {
        if self.path.starts_with("/trap-stream") {
            panic!("trap in a message of a gRPC stream");
        }
        self.messages += 1;
        let body = shown(self.get_grpc_stream_message(0, size), size);
        self.note(format!("message {body}"));
        match self.word(0).as_str() {
            "stream-cancel" => {
                let first = hostcalls::cancel_grpc_stream(token);
                let second = hostcalls::cancel_grpc_stream(token);
                self.note(format!("cancelled {first:?} {second:?}"));
                self.reply();
            }
            // One more for each that comes, up to the number in the path, then the half-close.
            "stream-talk" => {
                let limit: usize = self.word(3).parse().unwrap_or(3);
                if self.messages < limit {
                    let text = format!("t{}", self.messages);
                    self.send_grpc_stream_message(token, Some(text.as_bytes()), self.messages + 1 == limit);
                }
            }
            _ => {}
        }
    }

    fn on_grpc_stream_trailing_metadata(&mut self, _: u32, count: u32) {
        let pairs = self.get_grpc_stream_trailing_metadata();
        let one = self.get_grpc_stream_trailing_metadata_value("grpc-status");
        self.note(format!("trailing {count}: {} ({})", pairs_shown(pairs), one.is_some()));
    }

    fn on_grpc_stream_close(&mut self, token: u32, status: u32) {
        let (code, message) = self.get_grpc_status();
        self.note(format!("close {} {status} {code} {}", token == self.token, message.unwrap_or_default()));
        if self.word(0) == "stream-late" {
            let sent = hostcalls::send_grpc_stream_message(token, Some(b"late"), false);
            let closed = hostcalls::close_grpc_stream(token);
            self.note(format!("late {sent:?} {closed:?}"));
        }
        self.reply();
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.path = path();
        let kind = self.word(0);
        match kind.as_str() {
            "pass" => return Action::Continue,
            "cancel" | "close-call" => {
                let token = call(&self.settings.cluster, "Slow", b"", self.settings.timeout).unwrap_or(0);
                let close = kind == "close-call";
                let end = if close { hostcalls::close_grpc_stream } else { hostcalls::cancel_grpc_call };
                let (first, second) = (end(token), end(token));
                let sent = hostcalls::send_grpc_stream_message(token, Some(b""), false);
                self.note(format!("ended {first:?} {second:?} {sent:?}"));
                self.reply();
            }
            // Nobody waits for these: the request goes on.
            "forget" => {
                call(&self.settings.cluster, "Echo", b"forget", self.settings.timeout).ok();
                return Action::Continue;
            }
            "stream-open" => {
                self.start_stream();
                return Action::Continue;
            }
            "stream" | "stream-talk" | "stream-cancel" | "stream-late" | "stream-dead" | "stream-hold" | "trap-stream" => {
                if !self.start_stream() {
                    self.reply();
                }
            }
            _ => match self.start_call(&kind) {
                Ok(token) => {
                    self.token = token;
                    self.note(format!("sent {}", token & 3));
                }
                Err(status) => {
                    self.note(format!("not sent: {status:?}"));
                    self.reply();
                }
            },
        }
        Action::Pause
    }
}
