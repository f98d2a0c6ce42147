//! configuration: shows VM configuration, plugin configuration, names and context ids in response headers.
use guests::{configuration, http_contexts, plugin};
use proxy_wasm::hostcalls::get_property;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType};

plugin!(Root);

#[derive(Default, Clone)]
struct Root {
    vm: String,
    plugin: String,
    starts: u32,
    configures: u32,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_vm_start(&mut self, _: usize) -> bool {
        self.vm = configuration(BufferType::VmConfiguration);
        self.starts += 1;
        true
    }
    fn on_configure(&mut self, _: usize) -> bool {
        self.plugin = configuration(BufferType::PluginConfiguration);
        self.configures += 1;
        true
    }
    http_contexts!(self, id => Stream { root: self.clone(), id });
}

struct Stream {
    root: Root,
    id: u32,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let flat = |text: &str| text.replace(['\r', '\n'], "|");
        self.set_http_response_header("x-vm-config", Some(&flat(&self.root.vm)));
        self.set_http_response_header("x-plugin-config", Some(&flat(&self.root.plugin)));
        self.set_http_response_header("x-starts", Some(&format!("{} {}", self.root.starts, self.root.configures)));
        self.set_http_response_header("x-context-id", Some(&self.id.to_string()));
        for name in ["plugin_name", "plugin_root_id", "plugin_vm_id"] {
            let value = get_property(vec![name]).ok().flatten().unwrap_or_default();
            let header = format!("x-{}", name.replace('_', "-"));
            self.set_http_response_header(&header, Some(&String::from_utf8_lossy(&value)));
        }
        Action::Continue
    }
}
