//! pause-resume: pauses at the phase that the path names; the next tick lets it go on, in the order of arrival.
use guests::{configuration, path, plugin};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, MapType};
use std::cell::RefCell;
use std::time::Duration;

plugin!(Root);

thread_local! {
    static WAITING: RefCell<Vec<(u32, bool)>> = const { RefCell::new(Vec::new()) };
}

#[derive(Default)]
struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let period = configuration(BufferType::PluginConfiguration).parse().unwrap_or(50);
        self.set_tick_period(Duration::from_millis(period));
        true
    }
    fn on_tick(&mut self) {
        for (id, in_response) in WAITING.take() {
            if hostcalls::set_effective_context(id).is_err() {
                continue;
            }
            if in_response {
                hostcalls::set_map_value(MapType::HttpResponseHeaders, "x-resumed", Some("response")).ok();
                hostcalls::resume_http_response().ok();
            } else {
                hostcalls::set_map_value(MapType::HttpRequestHeaders, "x-resumed", Some("request")).ok();
                hostcalls::resume_http_request().ok();
            }
        }
    }
    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { id, path: String::new(), paused: false }))
    }
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Stream {
    id: u32,
    path: String,
    paused: bool,
}

impl Stream {
    fn at(&mut self, path: &str, in_response: bool) -> Action {
        if self.path != path {
            return Action::Continue;
        }
        if !self.paused {
            self.paused = true;
            WAITING.with_borrow_mut(|waiting| waiting.push((self.id, in_response)));
        }
        Action::Pause
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.path = path();
        self.at("/request-headers", false)
    }
    fn on_http_request_body(&mut self, _: usize, _: bool) -> Action {
        if self.paused { Action::Continue } else { self.at("/request-body", false) }
    }
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.at("/response-headers", true)
    }
    fn on_http_response_body(&mut self, _: usize, _: bool) -> Action {
        if self.paused { Action::Continue } else { self.at("/response-body", true) }
    }
}
