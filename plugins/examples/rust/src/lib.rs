//! custom-response-header adds or replaces response headers.
//!
//! Configuration: `{"headers":[{"name":"X-Name","value":"text"}]}`, read once per plugin in
//! `proxy_on_configure`; one that is not of this shape is refused with a log line, and the proxy
//! then keeps the last good one.

use log::error;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use serde::Deserialize;
use std::rc::Rc;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Plugin::default()));
}}

#[derive(Default, Deserialize)]
struct Configuration {
    #[serde(default)]
    headers: Vec<Header>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Default)]
struct Plugin {
    configuration: Rc<Configuration>,
}

impl Context for Plugin {}

impl RootContext for Plugin {
    fn on_configure(&mut self, _size: usize) -> bool {
        let Some(bytes) = self.get_plugin_configuration() else {
            return true;
        };
        if bytes.is_empty() {
            return true;
        }
        match serde_json::from_slice::<Configuration>(&bytes) {
            Ok(configuration) if configuration.headers.iter().any(|h| h.name.is_empty()) => {
                error!("custom-response-header: configuration refused: a \"name\" is empty");
                false
            }
            Ok(configuration) => {
                self.configuration = Rc::new(configuration);
                true
            }
            Err(problem) => {
                error!("custom-response-header: configuration refused: {problem}");
                false
            }
        }
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { configuration: Rc::clone(&self.configuration) }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Stream {
    configuration: Rc<Configuration>,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        for header in &self.configuration.headers {
            self.set_http_response_header(&header.name, Some(&header.value));
        }
        Action::Continue
    }
}
