//! body-buffer: holds a body until it is complete, then changes it.
use guests::{configuration, http_contexts, info, instructions, plugin};
use proxy_wasm::hostcalls::{get_buffer, set_buffer, set_map_value};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, MapType};
use std::rc::Rc;

plugin!(Root);

#[derive(Default)]
struct Root {
    lines: Rc<Vec<Vec<String>>>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        self.lines = Rc::new(instructions(&configuration(BufferType::PluginConfiguration), 3));
        true
    }
    http_contexts!(self, _id => Stream { lines: self.lines.clone(), calls: 0 });
}

struct Stream {
    lines: Rc<Vec<Vec<String>>>,
    calls: u32,
}

impl Stream {
    fn wants(&self, direction: &str) -> bool {
        self.lines.iter().any(|line| line[0] == direction)
    }

    /// Every change starts from the body as the one before left it.
    fn change(&self, direction: &str, buffer: BufferType, size: usize) {
        for line in self.lines.iter().filter(|line| line[0] == direction && line.len() > 1) {
            let text = line.get(2).map_or("", String::as_str).as_bytes();
            match line[1].as_str() {
                "replace" => drop(set_buffer(buffer, 0, usize::MAX >> 1, text)),
                "prepend" => drop(set_buffer(buffer, 0, 0, text)),
                "append" => drop(set_buffer(buffer, usize::MAX >> 1, 0, text)),
                "clear" => drop(set_buffer(buffer, 0, usize::MAX >> 1, b"")),
                "reverse" => {
                    let mut all = get_buffer(buffer, 0, size).ok().flatten().unwrap_or_default();
                    all.reverse();
                    set_buffer(buffer, 0, all.len(), &all).ok();
                }
                other => panic!("unknown instruction {other}"),
            }
        }
    }

    fn body(&mut self, direction: &str, buffer: BufferType, size: usize, end: bool) -> Action {
        if !self.wants(direction) {
            return Action::Continue;
        }
        self.calls += 1;
        if !end {
            return Action::Pause;
        }
        info(&format!("{direction} body: {size} bytes, {} calls", self.calls));
        self.change(direction, buffer, size);
        Action::Continue
    }

    fn headers(&mut self, direction: &str, map: MapType) -> Action {
        self.calls = 0;
        if self.wants(direction) {
            set_map_value(map, "content-length", None).ok();
        }
        Action::Continue
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.headers("request", MapType::HttpRequestHeaders)
    }
    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        self.body("request", BufferType::HttpRequestBody, size, end)
    }
    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        info("request trailers");
        self.change("request", BufferType::HttpRequestBody, usize::MAX >> 1);
        Action::Continue
    }
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.headers("response", MapType::HttpResponseHeaders)
    }
    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        self.body("response", BufferType::HttpResponseBody, size, end)
    }
    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        info("response trailers");
        self.change("response", BufferType::HttpResponseBody, usize::MAX >> 1);
        Action::Continue
    }
}
