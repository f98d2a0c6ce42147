//! A guest that does what a script says: the request's header `x-script`, or the configuration for root contexts.
//! Every callback and every statement with its outcome is a line of log that begins with `#` and the case's name
//! (with `^` when it is a root context's).

pub mod host;
mod script;
mod words;

use script::{Script, Variables};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Host functions that only this ABI version has.
pub type More = fn(&str, &[u64]) -> Option<u32>;

struct Context {
    root: u32,
    case: String,
    /// `(N) ` before lines of the Nth of several plugins.
    label: String,
    script: Rc<Script>,
    variables: Variables,
    calls: BTreeMap<String, u32>,
    waits_for_tick: bool,
    /// Lines from before the case's name was known.
    pending: Vec<String>,
}

thread_local! {
    static CONTEXTS: RefCell<BTreeMap<u32, Context>> = const { RefCell::new(BTreeMap::new()) };
    /// Which stream, or root, asked for what a token stands for.
    static TOKENS: RefCell<BTreeMap<u32, u32>> = const { RefCell::new(BTreeMap::new()) };
}

fn with<Result>(id: u32, act: impl FnOnce(&mut Context) -> Result) -> Option<Result> {
    CONTEXTS.with_borrow_mut(|contexts| contexts.get_mut(&id).map(act))
}

fn say(id: u32, text: &str) {
    let line = with(id, |context| {
        if context.case.is_empty() {
            context.pending.push(text.to_string());
            return None;
        }
        Some(format!("#{}{} {}{text}", context.case, if context.root == 0 { "^" } else { "" }, context.label))
    });
    if let Some(Some(line)) = line {
        host::log(&line);
    }
}

/// The context's name and script are known now: says what waited for it.
fn begin(id: u32, case: &str, script: Rc<Script>) {
    let pending = with(id, |context| {
        if !case.is_empty() {
            context.case = case.to_string();
        }
        context.script = script;
        if context.case.is_empty() { Vec::new() } else { std::mem::take(&mut context.pending) }
    });
    for line in pending.unwrap_or_default() {
        say(id, &line);
    }
}

pub fn create(id: u32, root: u32) {
    let variables = Variables::from([("self".to_string(), id.into()), ("root".to_string(), root.into())]);
    let context = Context {
        root,
        case: String::new(),
        label: with(root, |root| root.label.clone()).unwrap_or_default(),
        script: Rc::new(Script::parse("")),
        variables,
        calls: BTreeMap::new(),
        waits_for_tick: false,
        pending: Vec::new(),
    };
    CONTEXTS.with_borrow_mut(|contexts| contexts.insert(id, context));
    say(id, if root == 0 { "context_create of a root" } else { "context_create of a stream" });
}

/// VM or plugin configuration: `case NAME`, `plugin NUMBER`, `tick MS`, then sections.
pub fn configure(id: u32, callback: &str, buffer: u32, size: u32, more: More) -> u32 {
    let text = String::from_utf8_lossy(&host::buffer(buffer)).into_owned();
    let script = Rc::new(Script::parse(&text));
    let case = script.setting("case").unwrap_or("").to_string();
    if let Some(label) = script.setting("plugin") {
        with(id, |context| context.label = format!("({label}) "));
    }
    let tick = script.setting("tick").map(script::number);
    begin(id, &case, script);
    if let Some(period) = tick {
        host::call("proxy_set_tick_period_milliseconds", &[period]);
    }
    let arguments = if size as usize == text.len() { "size" } else { "another size" };
    event(id, callback, arguments, false, 1, more)
}

/// The first event of a stream brings its script.
pub fn request_headers(id: u32, count: u32, end: Option<u32>, more: More) -> u32 {
    let case = String::from_utf8_lossy(&host::request_header("x-case")).into_owned();
    let text = String::from_utf8_lossy(&host::request_header("x-script")).into_owned();
    begin(id, &case, Rc::new(Script::parse(&text)));
    event(id, "request_headers", &headers_arguments(0, count, end), end == Some(1), 0, more)
}

/// Connections and access logs bring no script of their own: they have that of their root context.
fn adopt(id: u32) {
    let root = with(id, |context| if context.case.is_empty() { context.root } else { 0 }).unwrap_or(0);
    if let Some((case, script)) = with(root, |root| (root.case.clone(), root.script.clone())) {
        begin(id, &case, script);
    }
}

/// The number as it is told, which should be that of the map; `end_of_stream` where the version has it.
pub fn headers_arguments(map: u32, count: u32, end: Option<u32>) -> String {
    let counted = match host::pairs_count(map) {
        there if there == count => "counted".to_string(),
        there => format!("{count} of {there}"),
    };
    match end {
        Some(end) => format!("{counted} end={end}"),
        None => counted,
    }
}

/// Says that the callback came, and runs its section. Answers what the section returns, else `default`.
pub fn event(id: u32, callback: &str, arguments: &str, at_end: bool, default: u32, more: More) -> u32 {
    adopt(id);
    // How a long body is cut into pieces is nobody's promise.
    let is_quiet = with(id, |context| context.script.setting("quiet").is_some()).unwrap_or(false);
    if !is_quiet || !callback.ends_with("_body") {
        say(id, format!("{callback} {arguments}").trim_end());
    }
    run(id, callback, at_end, default, more)
}

fn run(id: u32, callback: &str, at_end: bool, default: u32, more: More) -> u32 {
    let statements = with(id, |context| {
        let nth = context.calls.entry(callback.to_string()).or_insert(0);
        *nth += 1;
        context.script.section(callback, *nth, at_end)
    });
    let mut answer = default;
    for statement in statements.unwrap_or_default() {
        let (verb, rest) = statement.split_once(' ').unwrap_or((&statement, ""));
        match verb {
            "return" => answer = script::number(rest) as u32,
            "trap" => core::arch::wasm32::unreachable(),
            "trap_if" => {
                if rest.split_once(' ').is_some_and(|(one, other)| one == other) {
                    core::arch::wasm32::unreachable();
                }
            }
            "roots" => {
                let roots = CONTEXTS.with_borrow(|contexts| contexts.values().filter(|one| one.root == 0).count());
                say(id, &format!("  {roots} roots in this VM"));
            }
            "panic" => panic!("as told"),
            "exit" => host::exit(script::number(rest) as u32),
            "overflow" => say(id, &overflow(1).to_string()),
            "note" => say(id, &format!("  {rest}")),
            "wait_tick" => {
                with(id, |context| context.waits_for_tick = true);
            }
            "grow" => {
                let pages = core::arch::wasm32::memory_grow(0, script::number(rest) as usize);
                say(id, if pages == usize::MAX { "  refused" } else { "  grown" });
            }
            _ => statement_call(id, &statement, more),
        }
    }
    answer
}

fn statement_call(id: u32, statement: &str, more: More) {
    let mut variables = with(id, |context| context.variables.clone()).unwrap_or_default();
    let outcome = script::call(statement, &mut variables, |name, arguments| {
        host::call(name, arguments).or_else(|| more(name, arguments))
    });
    let token = variables.get("token").copied().unwrap_or(0) as u32;
    TOKENS.with_borrow_mut(|tokens| tokens.insert(token, id));
    with(id, |context| context.variables = variables);
    say(id, &format!("  {} = {outcome}", script::shown(statement)));
}

#[allow(unconditional_recursion)]
fn overflow(depth: u64) -> u64 {
    overflow(std::hint::black_box(depth + 1)) + depth
}

/// An answer or a message on a root context: for whoever asked.
pub fn answered(root: u32, token: u32, callback: &str, arguments: &str, more: More) {
    let asker = TOKENS.with_borrow(|tokens| tokens.get(&token).copied()).unwrap_or(root);
    let is_there = CONTEXTS.with_borrow(|contexts| contexts.contains_key(&asker));
    event(if is_there { asker } else { root }, callback, arguments, false, 0, more);
}

/// The root's own section, and that of every stream that waits.
pub fn tick(root: u32, more: More) {
    run(root, "tick", false, 0, more);
    let waiting = CONTEXTS.with_borrow_mut(|contexts| {
        let ids: Vec<u32> =
            contexts.iter().filter(|(_, one)| one.waits_for_tick && one.root == root).map(|(id, _)| *id).collect();
        for id in &ids {
            contexts.get_mut(id).expect("it is there").waits_for_tick = false;
        }
        ids
    });
    for id in waiting {
        event(id, "tick", "", false, 0, more);
    }
}

pub fn delete(id: u32, more: More) {
    event(id, "delete", "", false, 0, more);
    CONTEXTS.with_borrow_mut(|contexts| contexts.remove(&id));
}

#[no_mangle]
pub extern "C" fn malloc(size: usize) -> *mut u8 {
    let mut memory = Vec::<u8>::with_capacity(size);
    let start = memory.as_mut_ptr();
    std::mem::forget(memory);
    start
}

/// The callbacks that all three versions have, with the same parameters.
macro_rules! common_callbacks {
    () => {
        #[no_mangle]
        pub extern "C" fn proxy_on_context_create(id: u32, root: u32) {
            conformance::create(id, root);
        }
        #[no_mangle]
        pub extern "C" fn proxy_on_vm_start(id: u32, size: u32) -> u32 {
            conformance::configure(id, "vm_start", 6, size, more)
        }
        #[no_mangle]
        pub extern "C" fn proxy_on_configure(id: u32, size: u32) -> u32 {
            conformance::configure(id, "configure", 7, size, more)
        }
        #[no_mangle]
        pub extern "C" fn proxy_on_tick(id: u32) {
            conformance::tick(id, more);
        }
        #[no_mangle]
        pub extern "C" fn proxy_on_queue_ready(id: u32, token: u32) {
            conformance::answered(id, token, "queue_ready", "", more);
        }
        #[no_mangle]
        pub extern "C" fn proxy_on_request_body(id: u32, size: u32, end: u32) -> u32 {
            conformance::event(id, "request_body", &format!("{size} end={end}"), end == 1, 0, more)
        }
        #[no_mangle]
        pub extern "C" fn proxy_on_request_trailers(id: u32, count: u32) -> u32 {
            conformance::event(id, "request_trailers", &conformance::headers_arguments(1, count, None), true, 0, more)
        }
        #[no_mangle]
        pub extern "C" fn proxy_on_request_metadata(id: u32, count: u32) -> u32 {
            conformance::event(id, "request_metadata", &count.to_string(), false, 0, more)
        }
        #[no_mangle]
        pub extern "C" fn proxy_on_response_body(id: u32, size: u32, end: u32) -> u32 {
            conformance::event(id, "response_body", &format!("{size} end={end}"), end == 1, 0, more)
        }
        #[no_mangle]
        pub extern "C" fn proxy_on_response_trailers(id: u32, count: u32) -> u32 {
            conformance::event(id, "response_trailers", &conformance::headers_arguments(3, count, None), true, 0, more)
        }
        #[no_mangle]
        pub extern "C" fn proxy_on_response_metadata(id: u32, count: u32) -> u32 {
            conformance::event(id, "response_metadata", &count.to_string(), false, 0, more)
        }
        #[no_mangle]
        pub extern "C" fn proxy_on_http_call_response(id: u32, token: u32, headers: u32, size: u32, trailers: u32) {
            conformance::answered(id, token, "http_call_response", &format!("{headers} {size} {trailers}"), more);
        }
        #[no_mangle]
        pub extern "C" fn proxy_on_grpc_receive_initial_metadata(id: u32, token: u32, count: u32) {
            conformance::answered(id, token, "grpc_receive_initial_metadata", &conformance::headers_arguments(4, count, None), more);
        }
        #[no_mangle]
        pub extern "C" fn proxy_on_grpc_receive(id: u32, token: u32, size: u32) {
            conformance::answered(id, token, "grpc_receive", &size.to_string(), more);
        }
        #[no_mangle]
        pub extern "C" fn proxy_on_grpc_receive_trailing_metadata(id: u32, token: u32, count: u32) {
            conformance::answered(id, token, "grpc_receive_trailing_metadata", &conformance::headers_arguments(5, count, None), more);
        }
        #[no_mangle]
        pub extern "C" fn proxy_on_grpc_close(id: u32, token: u32, status: u32) {
            conformance::answered(id, token, "grpc_close", &status.to_string(), more);
        }
        #[no_mangle]
        pub extern "C" fn proxy_on_new_connection(id: u32) -> u32 {
            conformance::event(id, "new_connection", "", false, 0, more)
        }
        #[no_mangle]
        pub extern "C" fn proxy_on_downstream_data(id: u32, size: u32, end: u32) -> u32 {
            conformance::event(id, "downstream_data", &format!("{size} end={end}"), end == 1, 0, more)
        }
        #[no_mangle]
        pub extern "C" fn proxy_on_downstream_connection_close(id: u32, peer: u32) {
            conformance::event(id, "downstream_connection_close", &peer.to_string(), false, 0, more);
        }
        #[no_mangle]
        pub extern "C" fn proxy_on_upstream_data(id: u32, size: u32, end: u32) -> u32 {
            conformance::event(id, "upstream_data", &format!("{size} end={end}"), end == 1, 0, more)
        }
        #[no_mangle]
        pub extern "C" fn proxy_on_upstream_connection_close(id: u32, peer: u32) {
            conformance::event(id, "upstream_connection_close", &peer.to_string(), false, 0, more);
        }
        #[no_mangle]
        pub extern "C" fn proxy_on_done(id: u32) -> u32 {
            conformance::event(id, "done", "", false, 1, more)
        }
        #[no_mangle]
        pub extern "C" fn proxy_on_log(id: u32) {
            conformance::event(id, "log", "", false, 0, more);
        }
        #[no_mangle]
        pub extern "C" fn proxy_on_delete(id: u32) {
            conformance::delete(id, more);
        }
    };
}
pub(crate) use common_callbacks;
