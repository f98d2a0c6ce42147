//! loops: never returns from the callback that the path or the configuration names.
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
        if configuration(BufferType::VmConfiguration) == "loop" {
            forever();
        }
        true
    }
    fn on_configure(&mut self, _: usize) -> bool {
        match configuration(BufferType::PluginConfiguration).as_str() {
            "configure" => forever(),
            "tick" => self.set_tick_period(Duration::from_millis(50)),
            _ => {}
        }
        true
    }
    fn on_tick(&mut self) {
        forever();
    }
    http_contexts!(self, _id => Stream { path: String::new() });
}

struct Stream {
    path: String,
}

impl Stream {
    fn at(&self, path: &str) -> Action {
        if self.path == path {
            forever();
        }
        Action::Continue
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.path = path();
        if let Some(millions) = guests::number_after(&self.path, "/spin/") {
            spin(millions * 1_000_000);
        }
        if self.path == "/loop-host" {
            loop {
                self.get_http_request_header(":path");
            }
        }
        self.at("/loop")
    }
    fn on_http_request_body(&mut self, _: usize, _: bool) -> Action {
        self.at("/loop-body")
    }
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.set_http_response_header("x-guest", Some("loops"));
        self.at("/loop-response")
    }
    fn on_log(&mut self) {
        self.at("/loop-log");
    }
}

fn spin(turns: u64) {
    for turn in 0..turns {
        std::hint::black_box(turn);
    }
}

fn forever() {
    loop {
        spin(1_000_000);
    }
}
