//! trap: panics where the path or the configuration says.
use guests::{configuration, http_contexts, path, plugin};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType};
use std::time::Duration;

plugin!(Root);

#[derive(Default)]
struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn on_vm_start(&mut self, _: usize) -> bool {
        if configuration(BufferType::VmConfiguration) == "trap" {
            panic!("trap in vm_start");
        }
        true
    }
    fn on_configure(&mut self, _: usize) -> bool {
        match configuration(BufferType::PluginConfiguration).as_str() {
            "configure" => panic!("trap in configure"),
            "tick" => self.set_tick_period(Duration::from_millis(50)),
            _ => {}
        }
        true
    }
    fn on_tick(&mut self) {
        panic!("trap in tick");
    }
    http_contexts!(self, _id => Stream { path: String::new() });
}

struct Stream {
    path: String,
}

impl Stream {
    fn at(&self, path: &str) -> Action {
        if self.path == path {
            panic!("trap at {path}");
        }
        Action::Continue
    }
}

impl Context for Stream {
    fn on_done(&mut self) -> bool {
        self.at("/trap-done");
        true
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.path = path();
        if self.path == "/unreachable" {
            core::arch::wasm32::unreachable();
        }
        if self.path == "/stack" {
            recurse(0);
        }
        self.at("/trap")
    }
    fn on_http_request_body(&mut self, _: usize, _: bool) -> Action {
        self.at("/trap-body")
    }
    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.at("/trap-trailers")
    }
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.set_http_response_header("x-guest", Some("trap"));
        self.at("/trap-response")
    }
    fn on_http_response_body(&mut self, _: usize, _: bool) -> Action {
        self.at("/trap-response-body")
    }
    fn on_log(&mut self) {
        self.at("/trap-log");
    }
}

#[inline(never)]
#[allow(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    let grown = std::hint::black_box([depth; 64]);
    recurse(grown[0] + 1) + grown[1]
}
