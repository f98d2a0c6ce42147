//! actions: returns the raw number in the path from the callback that the path names, and goes on at a tick.
#[path = "raw.rs"]
mod raw;
use raw::{header, log, proxy_continue_stream, proxy_set_effective_context, proxy_set_tick_period_milliseconds, REQUEST};
use std::cell::RefCell;

#[derive(Default)]
struct Stream {
    id: u32,
    path: String,
    waiting: Option<u32>,
}

thread_local! {
    static STREAMS: RefCell<Vec<Stream>> = const { RefCell::new(Vec::new()) };
}

/// `/<phase>/<number>` or `/<phase>/<number>/stay`: the number at that phase, else Continue.
fn action(id: u32, phase: &str, kind: u32, end: u32) -> u32 {
    log(&format!("{phase} {end}"));
    STREAMS.with_borrow_mut(|streams| {
        let Some(stream) = streams.iter_mut().find(|stream| stream.id == id) else { return 0 };
        let parts: Vec<&str> = stream.path.split('/').collect();
        if parts.get(1) != Some(&phase) {
            return 0;
        }
        let number = parts.get(2).and_then(|text| text.parse().ok()).unwrap_or(0);
        if number != 0 && parts.get(3) != Some(&"stay") {
            stream.waiting = Some(kind);
        }
        number
    })
}

#[no_mangle]
pub extern "C" fn proxy_on_context_create(id: u32, parent: u32) {
    if parent != 0 {
        STREAMS.with_borrow_mut(|streams| streams.push(Stream { id, ..Stream::default() }));
    }
}

#[no_mangle]
pub extern "C" fn proxy_on_configure(_root: u32, _size: u32) -> u32 {
    unsafe { proxy_set_tick_period_milliseconds(100) };
    1
}

#[no_mangle]
pub extern "C" fn proxy_on_tick(_root: u32) {
    let waiting: Vec<(u32, u32)> = STREAMS.with_borrow_mut(|streams| {
        streams.iter_mut().filter_map(|stream| Some((stream.id, stream.waiting.take()?))).collect()
    });
    for (id, kind) in waiting {
        unsafe {
            if proxy_set_effective_context(id) == 0 {
                proxy_continue_stream(kind);
            }
        }
    }
}

#[no_mangle]
pub extern "C" fn proxy_on_request_headers(id: u32, _count: u32, end: u32) -> u32 {
    let path = header(REQUEST, ":path");
    STREAMS.with_borrow_mut(|streams| {
        if let Some(stream) = streams.iter_mut().find(|stream| stream.id == id) {
            stream.path = path;
        }
    });
    action(id, "request-headers", 0, end)
}

#[no_mangle]
pub extern "C" fn proxy_on_request_body(id: u32, _size: u32, end: u32) -> u32 {
    action(id, "request-body", 0, end)
}

#[no_mangle]
pub extern "C" fn proxy_on_request_trailers(id: u32, _count: u32) -> u32 {
    action(id, "request-trailers", 0, 1)
}

#[no_mangle]
pub extern "C" fn proxy_on_response_headers(id: u32, _count: u32, end: u32) -> u32 {
    action(id, "response-headers", 1, end)
}

#[no_mangle]
pub extern "C" fn proxy_on_response_body(id: u32, _size: u32, end: u32) -> u32 {
    action(id, "response-body", 1, end)
}

#[no_mangle]
pub extern "C" fn proxy_on_response_trailers(id: u32, _count: u32) -> u32 {
    action(id, "response-trailers", 1, 1)
}

#[no_mangle]
pub extern "C" fn proxy_on_delete(id: u32) {
    STREAMS.with_borrow_mut(|streams| streams.retain(|stream| stream.id != id));
}
