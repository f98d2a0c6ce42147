//! local-reply: answers instead of the upstream, at the phase that the path names.
use guests::{http_contexts, path, plugin};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, GrpcStatusCode};

plugin!(Root);

#[derive(Default)]
struct Root;

impl Context for Root {}

impl RootContext for Root {
    http_contexts!(self, _id => Stream::default());
}

#[derive(Default)]
struct Stream {
    path: String,
    response_callbacks: u32,
}

impl Stream {
    fn reply(&self, phase: &str) {
        let body = format!("local reply from {phase}\n");
        self.send_http_response(418, vec![("x-local", phase), ("x-twice", "a"), ("x-twice", "b")], Some(body.as_bytes()));
    }

    fn at(&self, phase: &str) -> Action {
        if self.path != format!("/reply/{phase}") {
            return Action::Continue;
        }
        self.reply(phase);
        Action::Pause
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.path = path();
        match self.path.as_str() {
            "/reply/continue" => {
                self.reply("continue");
                Action::Continue
            }
            "/reply/twice" => {
                self.reply("first");
                self.reply("second");
                Action::Pause
            }
            "/reply/empty" => {
                self.send_http_response(204, vec![], None);
                Action::Pause
            }
            "/reply/type" => {
                self.send_http_response(200, vec![("content-type", "application/json")], Some(b"{}"));
                Action::Pause
            }
            "/reply/grpc" => {
                self.send_grpc_response(GrpcStatusCode::PermissionDenied, Some("not you"), vec![]);
                Action::Pause
            }
            "/reply/reset" => {
                self.reset_http_request();
                Action::Pause
            }
            _ => self.at("request-headers"),
        }
    }
    fn on_http_request_body(&mut self, _: usize, _: bool) -> Action {
        self.at("request-body")
    }
    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.at("request-trailers")
    }
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.response_callbacks += 1;
        self.set_http_response_header("x-response-callbacks", Some(&self.response_callbacks.to_string()));
        if self.response_callbacks > 1 {
            return Action::Continue;
        }
        if self.path == "/reply/reset-response" {
            self.reset_http_response();
            return Action::Pause;
        }
        self.at("response-headers")
    }
    fn on_http_response_body(&mut self, _: usize, _: bool) -> Action {
        if self.response_callbacks > 1 { Action::Continue } else { self.at("response-body") }
    }
}
