//! Every host function that ABI 0.1.0, 0.2.0 and 0.2.1 have in common, and WASI's, callable by name with plain numbers.

/// Declares imports, and a function that calls one of them by its name: None when there is none of that name.
macro_rules! imports {
    ($call:ident: $($module:literal { $($name:ident($($argument:ident: $kind:ty),*);)* })*) => {
        $(
            #[link(wasm_import_module = $module)]
            extern "C" { $(fn $name($($argument: $kind),*) -> u32;)* }
        )*
        pub fn $call(name: &str, arguments: &[u64]) -> Option<u32> {
            #[allow(unused_mut, unused_variables)]
            let mut next = arguments.iter().copied();
            match name {
                $($(stringify!($name) => {
                    $(let $argument = next.next().unwrap_or(0) as $kind;)*
                    Some(unsafe { $name($($argument),*) })
                })*)*
                _ => None,
            }
        }
    };
}
pub(crate) use imports;

imports! { call:
    "env" {
        proxy_log(level: u32, text: u32, size: u32);
        proxy_get_current_time_nanoseconds(out: u32);
        proxy_set_tick_period_milliseconds(period: u32);
        proxy_get_status(code: u32, text: u32, size: u32);
        proxy_set_effective_context(id: u32);
        proxy_done();
        proxy_call_foreign_function(name: u32, name_size: u32, data: u32, data_size: u32, out: u32, out_size: u32);
        proxy_get_property(path: u32, path_size: u32, out: u32, out_size: u32);
        proxy_set_property(path: u32, path_size: u32, value: u32, value_size: u32);
        proxy_get_header_map_size(map: u32, out: u32);
        proxy_get_header_map_pairs(map: u32, out: u32, out_size: u32);
        proxy_set_header_map_pairs(map: u32, pairs: u32, size: u32);
        proxy_get_header_map_value(map: u32, key: u32, key_size: u32, out: u32, out_size: u32);
        proxy_add_header_map_value(map: u32, key: u32, key_size: u32, value: u32, size: u32);
        proxy_replace_header_map_value(map: u32, key: u32, key_size: u32, value: u32, size: u32);
        proxy_remove_header_map_value(map: u32, key: u32, key_size: u32);
        proxy_get_buffer_bytes(buffer: u32, start: u32, length: u32, out: u32, out_size: u32);
        proxy_get_buffer_status(buffer: u32, size: u32, flags: u32);
        proxy_set_buffer_bytes(buffer: u32, start: u32, length: u32, data: u32, size: u32);
        proxy_send_local_response(status: u32, details: u32, details_size: u32, body: u32, body_size: u32, pairs: u32, size: u32, grpc: u32);
        proxy_http_call(upstream: u32, upstream_size: u32, headers: u32, headers_size: u32, body: u32, body_size: u32, trailers: u32, trailers_size: u32, timeout: u32, token: u32);
        proxy_grpc_call(service: u32, service_size: u32, name: u32, name_size: u32, method: u32, method_size: u32, metadata: u32, metadata_size: u32, message: u32, message_size: u32, timeout: u32, token: u32);
        proxy_grpc_stream(service: u32, service_size: u32, name: u32, name_size: u32, method: u32, method_size: u32, metadata: u32, metadata_size: u32, token: u32);
        proxy_grpc_send(token: u32, message: u32, size: u32, end: u32);
        proxy_grpc_close(token: u32);
        proxy_grpc_cancel(token: u32);
        proxy_get_shared_data(key: u32, key_size: u32, out: u32, out_size: u32, cas: u32);
        proxy_set_shared_data(key: u32, key_size: u32, value: u32, size: u32, cas: u32);
        proxy_register_shared_queue(name: u32, size: u32, token: u32);
        proxy_resolve_shared_queue(vm: u32, vm_size: u32, name: u32, size: u32, token: u32);
        proxy_enqueue_shared_queue(token: u32, data: u32, size: u32);
        proxy_dequeue_shared_queue(token: u32, out: u32, out_size: u32);
        proxy_define_metric(kind: u32, name: u32, size: u32, id: u32);
        proxy_increment_metric(id: u32, offset: i64);
        proxy_record_metric(id: u32, value: i64);
        proxy_get_metric(id: u32, out: u32);
    }
    "wasi_snapshot_preview1" {
        fd_write(fd: u32, iovecs: u32, count: u32, written: u32);
        fd_read(fd: u32, iovecs: u32, count: u32, read: u32);
        fd_seek(fd: u32, offset: i64, whence: u32, out: u32);
        fd_close(fd: u32);
        fd_fdstat_get(fd: u32, out: u32);
        fd_fdstat_set_flags(fd: u32, flags: u32);
        fd_prestat_get(fd: u32, out: u32);
        fd_prestat_dir_name(fd: u32, path: u32, size: u32);
        path_open(fd: u32, flags: u32, path: u32, size: u32, open_flags: u32, base: i64, inheriting: i64, fd_flags: u32, out: u32);
        environ_get(pointers: u32, buffer: u32);
        environ_sizes_get(count: u32, size: u32);
        args_get(pointers: u32, buffer: u32);
        args_sizes_get(count: u32, size: u32);
        clock_time_get(id: u32, precision: i64, out: u32);
        clock_res_get(id: u32, out: u32);
        random_get(buffer: u32, size: u32);
        sched_yield();
        poll_oneoff(subscriptions: u32, events: u32, count: u32, out: u32);
    }
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
extern "C" {
    fn proc_exit(code: u32);
}

pub fn exit(code: u32) {
    unsafe { proc_exit(code) }
}

/// One line at level info.
pub fn log(text: &str) {
    unsafe { proxy_log(2, text.as_ptr() as u32, text.len() as u32) };
}

/// A host function's result in pointer and size: taken over and freed.
pub fn owned(data: u32, size: u32) -> Vec<u8> {
    if data == 0 || size == 0 {
        return Vec::new();
    }
    unsafe { Vec::from_raw_parts(data as *mut u8, size as usize, size as usize) }
}

/// All of a buffer; empty when it is not there.
pub fn buffer(kind: u32) -> Vec<u8> {
    let (mut data, mut size) = (0u32, 0u32);
    let status =
        unsafe { proxy_get_buffer_bytes(kind, 0, i32::MAX as u32, &mut data as *mut u32 as u32, &mut size as *mut u32 as u32) };
    if status == 0 { owned(data, size) } else { Vec::new() }
}

/// A request header, empty when it is not there.
pub fn request_header(name: &str) -> Vec<u8> {
    let (mut data, mut size) = (0u32, 0u32);
    let status = unsafe {
        proxy_get_header_map_value(
            0,
            name.as_ptr() as u32,
            name.len() as u32,
            &mut data as *mut u32 as u32,
            &mut size as *mut u32 as u32,
        )
    };
    if status == 0 { owned(data, size) } else { Vec::new() }
}

/// How many pairs a map has.
pub fn pairs_count(map: u32) -> u32 {
    let (mut data, mut size) = (0u32, 0u32);
    let status =
        unsafe { proxy_get_header_map_pairs(map, &mut data as *mut u32 as u32, &mut size as *mut u32 as u32) };
    let bytes = if status == 0 { owned(data, size) } else { Vec::new() };
    bytes.get(..4).map_or(0, |count| u32::from_le_bytes(count.try_into().unwrap_or_default()))
}
