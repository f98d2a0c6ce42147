//! properties: reads the properties that its configuration lists and shows them hex encoded.
use guests::{configuration, header_name, http_contexts, info, instructions, plugin, segments};
use proxy_wasm::hostcalls::get_property;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType};
use std::rc::Rc;

plugin!(Root);

#[derive(Default)]
struct Root {
    lines: Rc<Vec<Vec<String>>>,
}

fn read(path: &str) -> String {
    let segments = segments(path);
    match get_property(segments.iter().map(String::as_str).collect()) {
        Ok(Some(bytes)) if bytes.is_empty() => "empty".into(),
        Ok(Some(bytes)) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        Ok(None) => "none".into(),
        Err(status) => format!("{status:?}"),
    }
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        self.lines = Rc::new(instructions(&configuration(BufferType::PluginConfiguration), 2));
        for line in self.lines.iter().filter(|line| line[0] == "root" && line.len() > 1) {
            info(&format!("property {} = {}", line[1], read(&line[1])));
        }
        true
    }
    http_contexts!(self, _id => Stream { lines: self.lines.clone(), kept: Vec::new() });
}

struct Stream {
    lines: Rc<Vec<Vec<String>>>,
    kept: Vec<(String, String)>,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        for line in self.lines.iter().filter(|line| line[0] == "request" && line.len() > 1) {
            self.kept.push((header_name("x-prop-", &line[1]), read(&line[1])));
        }
        Action::Continue
    }
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        for line in self.lines.iter().filter(|line| line.len() == 1 || line[0] == "response") {
            let path = line.last().map_or("", String::as_str);
            self.set_http_response_header(&header_name("x-prop-", path), Some(&read(path)));
        }
        for (name, value) in &self.kept {
            self.set_http_response_header(&name.replacen("x-prop-", "x-req-prop-", 1), Some(value));
        }
        Action::Continue
    }
    fn on_log(&mut self) {
        for line in self.lines.iter().filter(|line| line[0] == "log" && line.len() > 1) {
            info(&format!("property {} = {}", line[1], read(&line[1])));
        }
    }
}
