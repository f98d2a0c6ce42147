//! The scripted guest of test/conformance for ABI 0.1.0.

mod conformance;

conformance::host::imports! { more:
    "env" {
        proxy_get_configuration(out: u32, out_size: u32);
        proxy_continue_request();
        proxy_continue_response();
        proxy_clear_route_cache();
    }
}

conformance::common_callbacks!();

#[no_mangle]
pub extern "C" fn proxy_abi_version_0_1_0() {}

#[no_mangle]
pub extern "C" fn proxy_on_request_headers(id: u32, count: u32) -> u32 {
    conformance::request_headers(id, count, None, more)
}

#[no_mangle]
pub extern "C" fn proxy_on_response_headers(id: u32, count: u32) -> u32 {
    conformance::event(id, "response_headers", &conformance::headers_arguments(2, count, None), false, 0, more)
}
