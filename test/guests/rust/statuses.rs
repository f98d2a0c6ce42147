//! statuses: calls host functions with bad arguments and shows the status of each in response headers.
#[path = "raw.rs"]
mod raw;
use raw::*;

fn show(name: &str, status: u32) {
    set_header(RESPONSE, &format!("x-status-{name}"), &status.to_string());
}

const FAR: usize = 0x7fff_0000;

unsafe fn maps(data: &mut usize, size: &mut usize) {
    let out_of_reach = FAR as *const u8;
    show("get-missing", proxy_get_header_map_value(RESPONSE, b"x-none".as_ptr(), 6, data, size));
    show("get-map-99", proxy_get_header_map_value(99, b"x-none".as_ptr(), 6, data, size));
    show("get-map-trailers", proxy_get_header_map_value(3, b"x-none".as_ptr(), 6, data, size));
    show("get-key-far", proxy_get_header_map_value(RESPONSE, out_of_reach, 6, data, size));
    show("get-key-wraps", proxy_get_header_map_value(RESPONSE, usize::MAX as *const u8, 6, data, size));
    show("get-result-far", proxy_get_header_map_value(RESPONSE, b":status".as_ptr(), 7, FAR as *mut usize, size));
    show("pairs-map-99", proxy_get_header_map_pairs(99, data, size));
    show("pairs-call-headers", proxy_get_header_map_pairs(6, data, size));
    show("set-map-99", set_header(99, "x-a", "b"));
    show("set-call-headers", set_header(6, "x-a", "b"));
    show("set-request-late", set_header(REQUEST, "x-a", "b"));
    show("set-value-far", proxy_replace_header_map_value(RESPONSE, b"x-a".as_ptr(), 3, out_of_reach, 6));
    show("set-empty-name", set_header(RESPONSE, "", "b"));
    show("set-pairs-far", proxy_set_header_map_pairs(RESPONSE, out_of_reach, 100));
}

unsafe fn buffers(data: &mut usize, size: &mut usize) {
    show("buffer-99", proxy_get_buffer_bytes(99, 0, 10, data, size));
    show("buffer-request", proxy_get_buffer_bytes(0, 0, 10, data, size));
    show("buffer-response", proxy_get_buffer_bytes(1, 0, 10, data, size));
    show("buffer-vm", proxy_get_buffer_bytes(6, 0, 10, data, size));
    show("buffer-plugin", proxy_get_buffer_bytes(7, 0, 10, data, size));
    show("buffer-call", proxy_get_buffer_bytes(4, 0, 10, data, size));
    show("set-buffer-99", proxy_set_buffer_bytes(99, 0, 0, b"x".as_ptr(), 1));
    show("set-buffer-vm", proxy_set_buffer_bytes(6, 0, 0, b"x".as_ptr(), 1));
    show("set-buffer-request", proxy_set_buffer_bytes(0, 0, 0, b"x".as_ptr(), 1));
}

unsafe fn others(data: &mut usize, size: &mut usize) {
    let mut value = 0;
    show("log-level-9", proxy_log(9, b"nine".as_ptr(), 4));
    show("log-far", proxy_log(2, FAR as *const u8, 4));
    show("property-empty", proxy_get_property(b"".as_ptr(), 0, data, size));
    show("property-unknown", proxy_get_property(b"no.such".as_ptr(), 7, data, size));
    show("context-unknown", proxy_set_effective_context(4_000_000));
    show("continue-9", proxy_continue_stream(9));
    show("continue-downstream", proxy_continue_stream(2));
    show("close-9", proxy_close_stream(9));
    show("metric-unknown", proxy_increment_metric(4_000_004, 1));
    show("metric-get-unknown", proxy_get_metric(4_000_004, &mut value));
    show("queue-unknown", proxy_dequeue_shared_queue(4_000, data, size));
    show("done-not-pending", proxy_done());
    show("foreign-unknown", proxy_call_foreign_function(b"no_such".as_ptr(), 7, b"".as_ptr(), 0, data, size));
}

#[no_mangle]
pub extern "C" fn proxy_on_response_headers(_id: u32, _count: u32, _end: u32) -> u32 {
    let (mut data, mut size) = (0, 0);
    unsafe {
        maps(&mut data, &mut size);
        buffers(&mut data, &mut size);
        others(&mut data, &mut size);
    }
    0
}
