//! headers: changes headers in both directions as the configuration says.
use guests::{configuration, http_contexts, instructions, plugin};
use proxy_wasm::hostcalls::{add_map_value, get_map, get_map_value, set_map, set_map_value};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, MapType};
use std::rc::Rc;

plugin!(Root);

#[derive(Default)]
struct Root {
    text: Rc<String>,
    lines: Rc<Vec<Vec<String>>>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        self.text = Rc::new(configuration(BufferType::PluginConfiguration));
        self.lines = Rc::new(instructions(&self.text, 4));
        true
    }
    http_contexts!(self, _id => Stream { text: self.text.clone(), lines: self.lines.clone(), copied: Vec::new() });
}

struct Stream {
    text: Rc<String>,
    lines: Rc<Vec<Vec<String>>>,
    copied: Vec<(String, String)>,
}

impl Stream {
    fn apply(&mut self, direction: &str, map: MapType, count: usize, end_of_stream: bool) {
        let lines = self.lines.clone();
        for line in lines.iter().filter(|line| line[0] == direction && line.len() > 2) {
            let (name, value) = (line[2].as_str(), line.get(3).map_or("", String::as_str));
            match line[1].as_str() {
                "add" => drop(add_map_value(map, name, value)),
                "replace" => drop(set_map_value(map, name, Some(value))),
                "remove" => drop(set_map_value(map, name, None)),
                "set-pairs" => self.set_pairs(map, name, value),
                "count" => drop(set_map_value(map, name, Some(&format!("{count} {end_of_stream}")))),
                "config" => drop(set_map_value(map, name, Some(&self.text.replace('\n', "|")))),
                "copy" => {
                    let found = get_map_value(map, name).ok().flatten().unwrap_or_else(|| "(none)".into());
                    self.copied.push((format!("x-copy-{}", name.trim_start_matches(':')), found));
                }
                "names" => {
                    let names: Vec<String> = get_map(map).unwrap_or_default().into_iter().map(|pair| pair.0).collect();
                    self.copied.push((name.to_string(), names.join(",")));
                }
                _ => panic!("unknown instruction {}", line[1]),
            }
        }
    }

    /// Reads all pairs, drops those called `name`, appends `name: value`, and sets them all.
    fn set_pairs(&self, map: MapType, name: &str, value: &str) {
        let pairs = get_map(map).unwrap_or_default();
        let mut next: Vec<(&str, &str)> =
            pairs.iter().filter(|pair| pair.0 != name).map(|pair| (pair.0.as_str(), pair.1.as_str())).collect();
        next.push((name, value));
        set_map(map, next).ok();
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, count: usize, end: bool) -> Action {
        self.apply("request", MapType::HttpRequestHeaders, count, end);
        Action::Continue
    }

    fn on_http_response_headers(&mut self, count: usize, end: bool) -> Action {
        self.apply("response", MapType::HttpResponseHeaders, count, end);
        for (name, value) in &self.copied {
            self.add_http_response_header(name, value);
        }
        Action::Continue
    }
}
