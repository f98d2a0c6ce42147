//! refuse: says no to its VM configuration or to its plugin configuration.
use guests::{configuration, http_contexts, plugin, say};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, LogLevel};

plugin!(Root);

#[derive(Default)]
struct Root {
    text: String,
}

fn accept(kind: BufferType, name: &str) -> bool {
    let text = configuration(kind);
    if text.starts_with("refuse") {
        say(LogLevel::Error, &format!("{name} refused: {text}"));
    }
    !text.starts_with("refuse")
}

impl Context for Root {}

impl RootContext for Root {
    fn on_vm_start(&mut self, _: usize) -> bool {
        accept(BufferType::VmConfiguration, "vm configuration")
    }
    fn on_configure(&mut self, _: usize) -> bool {
        let accepted = accept(BufferType::PluginConfiguration, "plugin configuration");
        if accepted {
            self.text = configuration(BufferType::PluginConfiguration);
        }
        accepted
    }
    http_contexts!(self, _id => Stream { text: self.text.clone() });
}

struct Stream {
    text: String,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.set_http_response_header("x-configuration", Some(&self.text));
        Action::Continue
    }
}
