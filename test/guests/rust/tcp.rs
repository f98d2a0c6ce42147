//! tcp: a network plugin that changes, holds and closes connections as its configuration and their bytes say.
use guests::{configuration, info, instructions, plugin, segments};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, RootContext, StreamContext};
use proxy_wasm::types::{Action, BufferType, ContextType, PeerType};
use std::cell::RefCell;
use std::time::Duration;

plugin!(Root);

thread_local! {
    static WAITING: RefCell<Vec<(u32, bool)>> = const { RefCell::new(Vec::new()) };
}

#[derive(Default)]
struct Root {
    lines: Vec<Vec<String>>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        self.lines = instructions(&configuration(BufferType::PluginConfiguration), 2);
        self.set_tick_period(Duration::from_millis(50));
        true
    }
    fn on_tick(&mut self) {
        for (id, is_upstream) in WAITING.take() {
            if hostcalls::set_effective_context(id).is_err() {
                continue;
            }
            info(&format!("tick resumes {}", if is_upstream { "upstream" } else { "downstream" }));
            if is_upstream {
                hostcalls::resume_upstream().ok();
            } else {
                hostcalls::resume_downstream().ok();
            }
        }
    }
    fn create_stream_context(&self, id: u32) -> Option<Box<dyn StreamContext>> {
        Some(Box::new(Connection { id, lines: self.lines.clone(), received: 0, told: false }))
    }
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::StreamContext)
    }
}

struct Connection {
    id: u32,
    lines: Vec<Vec<String>>,
    received: usize,
    told: bool,
}

impl Connection {
    fn has(&self, word: &str) -> bool {
        self.lines.iter().any(|line| line[0] == word)
    }
    fn values(&self, word: &str) -> Vec<String> {
        self.lines.iter().filter(|line| line[0] == word).map(|line| line[1].clone()).collect()
    }
    fn wait(&self, is_upstream: bool) -> Action {
        WAITING.with_borrow_mut(|waiting| {
            if !waiting.contains(&(self.id, is_upstream)) {
                waiting.push((self.id, is_upstream));
            }
        });
        Action::Pause
    }
}

impl Context for Connection {
    fn on_http_call_response(&mut self, _: u32, _: usize, _: usize, _: usize) {
        let status = hostcalls::get_map_value(proxy_wasm::types::MapType::HttpCallResponseHeaders, ":status");
        let status = status.ok().flatten().unwrap_or_default();
        info(&format!("call {status}"));
        if status == "200" {
            self.resume_downstream();
        } else {
            self.close_downstream();
        }
    }
    fn on_done(&mut self) -> bool {
        info("done");
        true
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        info("deleted");
    }
}

impl StreamContext for Connection {
    fn on_new_connection(&mut self) -> Action {
        info("new");
        for line in self.lines.iter().filter(|line| line[0] == "state") {
            let (key, value) = line[1].split_once(' ').unwrap_or((&line[1], ""));
            let mut argument = vec![0x0a, key.len() as u8];
            argument.extend(key.bytes());
            argument.extend([0x12, value.len() as u8]);
            argument.extend(value.bytes());
            hostcalls::call_foreign_function("set_envoy_filter_state", Some(&argument)).unwrap();
        }
        if let Some(cluster) = self.values("call").first() {
            let headers = vec![(":method", "GET"), (":path", "/"), (":authority", "tcp")];
            self.dispatch_http_call(cluster, headers, None, vec![], Duration::from_secs(1)).unwrap();
            return Action::Pause;
        }
        if self.has("wait") { self.wait(false) } else { Action::Continue }
    }

    fn on_downstream_data(&mut self, size: usize, end: bool) -> Action {
        let data = self.get_downstream_data(0, size).unwrap_or_default();
        info(&format!("down {size} {end}"));
        if !self.told {
            self.told = true;
            for path in self.values("property") {
                let segments = segments(&path);
                let value = self.get_property(segments.iter().map(String::as_str).collect());
                info(&format!("property {path} {}", value.map_or("none".into(), |bytes| String::from_utf8_lossy(&bytes).into_owned())));
            }
        }
        self.received += size;
        if self.values("limit").first().is_some_and(|limit| self.received > limit.parse().unwrap_or(0)) {
            self.close_downstream();
            return Action::Continue;
        }
        if data.starts_with(b"trap") && !data.starts_with(b"trap-up") {
            panic!("as asked");
        }
        if data == b"close" {
            self.close_downstream();
            return Action::Continue;
        }
        if data == b"close-up" {
            self.close_upstream();
            return Action::Pause;
        }
        if self.has("lines") && !data.ends_with(b"\n") && !end {
            return Action::Pause;
        }
        if self.has("upper") {
            self.set_downstream_data(0, size, &data.to_ascii_uppercase());
        }
        if self.has("hold") && data.starts_with(b"hold") {
            return self.wait(false);
        }
        Action::Continue
    }

    fn on_upstream_data(&mut self, size: usize, end: bool) -> Action {
        let data = self.get_upstream_data(0, size).unwrap_or_default();
        info(&format!("up {size} {end}"));
        if data.starts_with(b"trap-up") {
            panic!("as asked");
        }
        if self.has("drop") && data.starts_with(b"drop") {
            self.set_upstream_data(0, size, b"");
        }
        if self.has("hold-up") && data.starts_with(b"hold") {
            return self.wait(true);
        }
        if let Some(prefix) = self.values("prefix").first() {
            if size > 0 {
                self.set_upstream_data(0, 0, prefix.as_bytes());
            }
        }
        Action::Continue
    }

    fn on_downstream_close(&mut self, peer: PeerType) {
        info(&format!("down closed {}", name(peer)));
    }

    fn on_upstream_close(&mut self, peer: PeerType) {
        info(&format!("up closed {}", name(peer)));
    }

    fn on_log(&mut self) {
        info("log");
    }
}

fn name(peer: PeerType) -> &'static str {
    match peer {
        PeerType::Local => "local",
        PeerType::Remote => "remote",
        _ => "unknown",
    }
}
