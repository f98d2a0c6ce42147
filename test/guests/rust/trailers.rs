//! trailers: changes trailers in both directions as the configuration says.
use guests::{configuration, http_contexts, info, instructions, plugin};
use proxy_wasm::hostcalls::{add_map_value, get_map, set_map_value};
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
        self.lines = Rc::new(instructions(&configuration(BufferType::PluginConfiguration), 4));
        true
    }
    http_contexts!(self, _id => Stream { lines: self.lines.clone() });
}

struct Stream {
    lines: Rc<Vec<Vec<String>>>,
}

impl Stream {
    fn apply(&self, direction: &str, map: MapType, count: usize) {
        info(&format!("{direction} trailers: {count} {:?}", get_map(map).unwrap_or_default()));
        for line in self.lines.iter().filter(|line| line[0] == direction && line.len() > 2) {
            let (name, value) = (line[2].as_str(), line.get(3).map_or("", String::as_str));
            match line[1].as_str() {
                "add" => drop(add_map_value(map, name, value)),
                "replace" => drop(set_map_value(map, name, Some(value))),
                "remove" => drop(set_map_value(map, name, None)),
                other => panic!("unknown instruction {other}"),
            }
        }
    }

    /// Trailers may also be made where there were none: at the last body callback.
    fn create(&self, direction: &str, map: MapType, end: bool) {
        for line in self.lines.iter().filter(|line| end && line[0] == direction && line.len() > 2) {
            add_map_value(map, &line[1], &line[2]).ok();
        }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_body(&mut self, _: usize, end: bool) -> Action {
        self.create("create-request", MapType::HttpRequestTrailers, end);
        Action::Continue
    }
    fn on_http_request_trailers(&mut self, count: usize) -> Action {
        self.apply("request", MapType::HttpRequestTrailers, count);
        Action::Continue
    }
    fn on_http_response_body(&mut self, _: usize, end: bool) -> Action {
        self.create("create-response", MapType::HttpResponseTrailers, end);
        Action::Continue
    }
    fn on_http_response_trailers(&mut self, count: usize) -> Action {
        self.apply("response", MapType::HttpResponseTrailers, count);
        Action::Continue
    }
}
