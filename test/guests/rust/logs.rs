//! logs: writes a line at every level; floods on request.
use guests::{http_contexts, info, number_after, path, plugin, say};
use proxy_wasm::hostcalls::get_log_level;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, LogLevel};

plugin!(Root);

#[derive(Default)]
struct Root;

const LEVELS: [LogLevel; 6] =
    [LogLevel::Trace, LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error, LogLevel::Critical];

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        info("configured");
        true
    }
    http_contexts!(self, _id => Stream);
}

struct Stream;

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let path = path();
        for level in LEVELS {
            say(level, &format!("log {level:?} {path}"));
        }
        for line in 0..number_after(&path, "/flood/").unwrap_or(0) {
            info(&format!("flood {line}"));
        }
        if let Some(size) = number_after(&path, "/long/") {
            info(&"x".repeat(size as usize));
        }
        if path == "/control" {
            info("a\r\nb\u{1b}[31mc\0d \u{fffd} \"q\" é");
        }
        Action::Continue
    }
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let level = get_log_level().map_or_else(|status| format!("{status:?}"), |level| format!("{level:?}"));
        self.set_http_response_header("x-log-level", Some(&level));
        Action::Continue
    }
}
