//! set-property: stores properties on the stream and reads properties back.
use guests::{configuration, header_name, http_contexts, instructions, plugin, segments};
use proxy_wasm::hostcalls::{get_property, set_property};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType};
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
    http_contexts!(self, _id => Stream { lines: self.lines.clone(), shown: Vec::new() });
}

struct Stream {
    lines: Rc<Vec<Vec<String>>>,
    shown: Vec<(String, String)>,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        for line in self.lines.iter() {
            let text = line.get(1).map_or("", String::as_str);
            let path = segments(text);
            if line[0] == "set" {
                let value = line.get(2).map_or("", String::as_str);
                let outcome = set_property(path.iter().map(String::as_str).collect(), Some(value.as_bytes()));
                self.shown.push((header_name("x-set-", text), format!("{outcome:?}")));
            }
        }
        Action::Continue
    }
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        for line in self.lines.iter().filter(|line| line[0] == "get" && line.len() > 1) {
            let path = segments(&line[1]);
            let value = match get_property(path.iter().map(String::as_str).collect()) {
                Ok(Some(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
                Ok(None) => "(none)".into(),
                Err(status) => format!("({status:?})"),
            };
            self.set_http_response_header(&header_name("x-get-", &line[1]), Some(&value));
        }
        for (name, value) in &self.shown {
            self.set_http_response_header(name, Some(value));
        }
        Action::Continue
    }
}
