//! callbacks: logs every callback with its arguments; for the order and the arguments of callbacks.
#[path = "raw.rs"]
mod raw;
use raw::log;

macro_rules! logged {
    ($($name:ident($($argument:ident),*) -> $result:expr;)*) => {$(
        #[no_mangle]
        pub extern "C" fn $name($($argument: u32),*) -> u32 {
            let arguments: &[u32] = &[$($argument),*];
            log(&format!("{} {arguments:?}", stringify!($name)));
            $result
        }
    )*};
}

macro_rules! logged_void {
    ($($name:ident($($argument:ident),*);)*) => {$(
        #[no_mangle]
        pub extern "C" fn $name($($argument: u32),*) {
            let arguments: &[u32] = &[$($argument),*];
            log(&format!("{} {arguments:?}", stringify!($name)));
        }
    )*};
}

logged! {
    proxy_on_vm_start(root, size) -> 1;
    proxy_on_configure(root, size) -> 1;
    proxy_on_request_headers(id, count, end) -> 0;
    proxy_on_request_body(id, size, end) -> 0;
    proxy_on_request_trailers(id, count) -> 0;
    proxy_on_request_metadata(id, count) -> 0;
    proxy_on_response_headers(id, count, end) -> 0;
    proxy_on_response_body(id, size, end) -> 0;
    proxy_on_response_trailers(id, count) -> 0;
    proxy_on_response_metadata(id, count) -> 0;
    proxy_on_new_connection(id) -> 0;
    proxy_on_downstream_data(id, size, end) -> 0;
    proxy_on_upstream_data(id, size, end) -> 0;
    proxy_on_done(id) -> 1;
}

logged_void! {
    proxy_on_context_create(id, parent);
    proxy_on_tick(root);
    proxy_on_queue_ready(root, token);
    proxy_on_foreign_function(id, function, size);
    proxy_on_downstream_connection_close(id, peer);
    proxy_on_upstream_connection_close(id, peer);
    proxy_on_http_call_response(root, token, headers, body, trailers);
    proxy_on_grpc_receive_initial_metadata(root, token, count);
    proxy_on_grpc_receive(root, token, size);
    proxy_on_grpc_receive_trailing_metadata(root, token, count);
    proxy_on_grpc_close(root, token, status);
    proxy_on_log(id);
    proxy_on_delete(id);
}

#[no_mangle]
pub extern "C" fn _initialize() {
    log("_initialize []");
}
