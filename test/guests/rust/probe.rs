//! probe: runs host calls that its configuration lists, phase by phase, and keeps what they answer until it is asked.
use guests::{configuration, instructions, path, plugin, segments};
use proxy_wasm::traits::{Context, HttpContext, RootContext, StreamContext};
use proxy_wasm::types::{Action, BufferType, ContextType, PeerType};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

plugin!(Root);

extern "C" {
    fn proxy_get_property(path: *const u8, path_size: usize, value: *mut *mut u8, value_size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8, name_size: usize, argument: *const u8, argument_size: usize,
        result: *mut *mut u8, result_size: *mut usize,
    ) -> u32;
}

thread_local! {
    static KEPT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The answer of a host call: `empty`, hex, or `status N`. Without the SDK, which hides some statuses and traps at others.
fn answer(status: u32, value: *mut u8, size: usize) -> String {
    match status {
        0 if size == 0 => "empty".into(),
        0 => hex(&unsafe { Vec::from_raw_parts(value, size, size) }),
        _ => format!("status {status}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).filter_map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()).collect()
}

fn run(operation: &str, subject: &str, argument: &str) -> String {
    let mut value = std::ptr::null_mut();
    let mut size = 0;
    let path = segments(subject).join("\0");
    let bytes = unhex(argument);
    unsafe {
        match operation {
            "get" => {
                let status = proxy_get_property(path.as_ptr(), path.len(), &mut value, &mut size);
                answer(status, value, size)
            }
            "set" => answer(proxy_set_property(path.as_ptr(), path.len(), bytes.as_ptr(), bytes.len()), value, 0),
            "call" => {
                let status = proxy_call_foreign_function(
                    subject.as_ptr(), subject.len(), bytes.as_ptr(), bytes.len(), &mut value, &mut size,
                );
                answer(status, value, size)
            }
            _ => "unknown operation".into(),
        }
    }
}

fn keep(line: &str) {
    KEPT.with_borrow_mut(|kept| {
        kept.push_str(line);
        kept.push('\n');
    });
}

fn probe(lines: &[Vec<String>], phase: &str) {
    for line in lines.iter().filter(|line| line.len() > 2 && (line[0] == phase || line[0] == "all")) {
        let argument = line.get(3).map_or("", String::as_str);
        keep(&format!("{phase} {} {} = {}", line[1], line[2], run(&line[1], &line[2], argument)));
    }
}

#[derive(Default)]
struct Root {
    lines: Rc<Vec<Vec<String>>>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        self.lines = Rc::new(instructions(&configuration(BufferType::PluginConfiguration), 4));
        probe(&self.lines, "configure");
        self.set_tick_period(Duration::from_millis(10));
        true
    }
    fn on_tick(&mut self) {
        self.set_tick_period(Duration::ZERO);
        probe(&self.lines, "tick");
    }
    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { lines: self.lines.clone(), is_question: false }))
    }
    fn create_stream_context(&self, _: u32) -> Option<Box<dyn StreamContext>> {
        Some(Box::new(Connection { lines: self.lines.clone() }))
    }
    fn get_type(&self) -> Option<ContextType> {
        let is_tcp = self.lines.iter().any(|line| line[0] == "tcp");
        Some(if is_tcp { ContextType::StreamContext } else { ContextType::HttpContext })
    }
}

struct Connection {
    lines: Rc<Vec<Vec<String>>>,
}

impl Context for Connection {}

impl StreamContext for Connection {
    fn on_new_connection(&mut self) -> Action {
        probe(&self.lines, "new-connection");
        Action::Continue
    }
    fn on_downstream_data(&mut self, _: usize, _: bool) -> Action {
        probe(&self.lines, "downstream-data");
        Action::Continue
    }
    fn on_upstream_data(&mut self, _: usize, _: bool) -> Action {
        probe(&self.lines, "upstream-data");
        Action::Continue
    }
    fn on_downstream_close(&mut self, _: PeerType) {
        probe(&self.lines, "downstream-close");
    }
    fn on_log(&mut self) {
        probe(&self.lines, "log");
    }
}

struct Stream {
    lines: Rc<Vec<Vec<String>>>,
    is_question: bool,
}

impl Stream {
    fn probe(&self, phase: &str) -> Action {
        if !self.is_question {
            probe(&self.lines, phase);
        }
        Action::Continue
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let asked = path().strip_prefix("/kept/").map(str::to_string);
        self.is_question = asked.is_some();
        let name = self.lines.iter().find(|line| line[0] == "name").map_or("", |line| line[1].as_str());
        if asked.as_deref() == Some(name) {
            let kept = KEPT.take();
            self.send_http_response(200, vec![], Some(kept.as_bytes()));
            return Action::Pause;
        }
        self.probe("request-headers")
    }
    fn on_http_request_body(&mut self, _: usize, end: bool) -> Action {
        if end { self.probe("request-body") } else { Action::Continue }
    }
    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.probe("request-trailers")
    }
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.probe("response-headers")
    }
    fn on_http_response_body(&mut self, _: usize, end: bool) -> Action {
        if end { self.probe("response-body") } else { Action::Continue }
    }
    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        self.probe("response-trailers")
    }
    fn on_log(&mut self) {
        self.probe("log");
    }
}
