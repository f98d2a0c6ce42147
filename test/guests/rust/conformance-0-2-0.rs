//! The scripted guest of test/conformance for ABI 0.2.0.

mod conformance;

conformance::host::imports! { more:
    "env" {
        proxy_continue_stream(kind: u32);
        proxy_close_stream(kind: u32);
    }
}

conformance::common_callbacks!();

#[no_mangle]
pub extern "C" fn proxy_abi_version_0_2_0() {}

#[no_mangle]
pub extern "C" fn proxy_on_request_headers(id: u32, count: u32, end: u32) -> u32 {
    conformance::request_headers(id, count, Some(end), more)
}

#[no_mangle]
pub extern "C" fn proxy_on_response_headers(id: u32, count: u32, end: u32) -> u32 {
    conformance::event(id, "response_headers", &conformance::headers_arguments(2, count, Some(end)), end == 1, 0, more)
}

#[no_mangle]
pub extern "C" fn proxy_on_foreign_function(id: u32, function: u32, size: u32) {
    conformance::event(id, "foreign_function", &format!("{function} {size}"), false, 0, more);
}
