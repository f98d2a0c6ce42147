//! {{name}} gives every response the header x-{{name}}, whose value is the plugin's configuration.

use log::{error, info};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use std::rc::Rc;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Plugin { value: Rc::from("") }));
}}

struct Plugin {
    value: Rc<str>,
}

impl Context for Plugin {}

impl RootContext for Plugin {
    /// Reads the configuration; answering false would refuse it.
    fn on_configure(&mut self, _size: usize) -> bool {
        let configuration = self.get_plugin_configuration().unwrap_or_default();
        match String::from_utf8(configuration) {
            Ok(value) => self.value = Rc::from(if value.is_empty() { "hello" } else { &value }),
            Err(_) => {
                error!("{{name}}: the configuration is not UTF-8");
                return false;
            }
        }
        info!("{{name}}: configured with {}", self.value);
        true
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { value: Rc::clone(&self.value) }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// One request with its response. Implement more of HttpContext to see more of them.
struct Stream {
    value: Rc<str>,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.set_http_response_header("x-{{name}}", Some(&self.value));
        Action::Continue
    }
}
