//! What the guests share: the configuration language and the few lines that every plugin needs.
//!
//! Configuration is text, one instruction a line, words split at spaces; the last word of an
//! instruction may hold spaces where the guest says so.

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel};

/// The instructions of a configuration: each line split into at most `words` words.
pub fn instructions(text: &str, words: usize) -> Vec<Vec<String>> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| line.splitn(words, ' ').map(str::to_string).collect())
        .collect()
}

/// The plugin configuration, or the VM configuration, as text.
pub fn configuration(kind: BufferType) -> String {
    let bytes = hostcalls::get_buffer(kind, 0, usize::MAX >> 1).ok().flatten().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `key value` lines: the value of the key, or the default.
pub fn setting(instructions: &[Vec<String>], key: &str, default: &str) -> String {
    instructions
        .iter()
        .find(|line| line[0] == key)
        .and_then(|line| line.get(1))
        .map_or_else(|| default.to_string(), Clone::clone)
}

/// The segments of a property path: a dot separates them, `\.` is a dot inside one.
pub fn segments(path: &str) -> Vec<String> {
    path.replace("\\.", "\0").split('.').map(|segment| segment.replace('\0', ".")).collect()
}

/// `prefix` and the text as a header name: everything but letters and digits becomes `-`.
pub fn header_name(prefix: &str, text: &str) -> String {
    let name: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    format!("{prefix}{name}")
}

pub fn say(level: LogLevel, text: &str) {
    hostcalls::log(level, text).ok();
}

pub fn info(text: &str) {
    say(LogLevel::Info, text);
}

/// The request's path without its query, empty when there is none.
pub fn path() -> String {
    let path = hostcalls::get_map_value(proxy_wasm::types::MapType::HttpRequestHeaders, ":path");
    let path = path.ok().flatten().unwrap_or_default();
    path.split('?').next().unwrap_or_default().to_string()
}

/// The number that follows `prefix` in the path, when it is there.
pub fn number_after(path: &str, prefix: &str) -> Option<u64> {
    let rest = path.strip_prefix(prefix)?;
    rest.split('/').next()?.parse().ok()
}

/// Declares the module's entry point and how its root contexts are made.
#[macro_export]
macro_rules! plugin {
    ($root:ty) => {
        proxy_wasm::main! {{
            proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Trace);
            proxy_wasm::set_root_context(|_| Box::new(<$root>::default()));
        }}
    };
}

/// The two methods by which a root context says that it makes HTTP contexts.
#[macro_export]
macro_rules! http_contexts {
    ($self:ident, $id:ident => $stream:expr) => {
        fn create_http_context(&$self, $id: u32) -> Option<Box<dyn proxy_wasm::traits::HttpContext>> {
            Some(Box::new($stream))
        }
        fn get_type(&self) -> Option<proxy_wasm::types::ContextType> {
            Some(proxy_wasm::types::ContextType::HttpContext)
        }
    };
}
