//! pause-forever: pauses at the phase that the path names and never goes on by itself.
use guests::{http_contexts, path, plugin};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::Action;

plugin!(Root);

#[derive(Default)]
struct Root;

impl Context for Root {}

impl RootContext for Root {
    http_contexts!(self, _id => Stream { path: String::new() });
}

struct Stream {
    path: String,
}

impl Stream {
    fn at(&self, path: &str) -> Action {
        if self.path == path { Action::Pause } else { Action::Continue }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.path = path();
        self.at("/request-headers")
    }
    fn on_http_request_body(&mut self, _: usize, _: bool) -> Action {
        self.at("/request-body")
    }
    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.at("/request-trailers")
    }
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.at("/response-headers")
    }
    fn on_http_response_body(&mut self, _: usize, _: bool) -> Action {
        self.at("/response-body")
    }
    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        self.at("/response-trailers")
    }
}
