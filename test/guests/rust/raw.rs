//! The bare ABI, for guests that need what the SDK does not let through: raw return values, raw statuses,
//! every callback. Such a guest includes this file instead of using the SDK.
#![allow(dead_code)]

#[link(wasm_import_module = "env")]
extern "C" {
    pub fn proxy_log(level: u32, text: *const u8, size: usize) -> u32;
    pub fn proxy_get_buffer_bytes(kind: u32, start: usize, length: usize, data: *mut usize, size: *mut usize) -> u32;
    pub fn proxy_set_buffer_bytes(kind: u32, start: usize, length: usize, data: *const u8, size: usize) -> u32;
    pub fn proxy_get_header_map_value(map: u32, key: *const u8, key_size: usize, data: *mut usize, size: *mut usize) -> u32;
    pub fn proxy_replace_header_map_value(map: u32, key: *const u8, key_size: usize, value: *const u8, size: usize) -> u32;
    pub fn proxy_get_header_map_pairs(map: u32, data: *mut usize, size: *mut usize) -> u32;
    pub fn proxy_set_header_map_pairs(map: u32, data: *const u8, size: usize) -> u32;
    pub fn proxy_get_property(path: *const u8, path_size: usize, data: *mut usize, size: *mut usize) -> u32;
    pub fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    pub fn proxy_set_effective_context(id: u32) -> u32;
    pub fn proxy_continue_stream(kind: u32) -> u32;
    pub fn proxy_close_stream(kind: u32) -> u32;
    pub fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    pub fn proxy_get_metric(id: u32, value: *mut u64) -> u32;
    pub fn proxy_dequeue_shared_queue(token: u32, data: *mut usize, size: *mut usize) -> u32;
    pub fn proxy_done() -> u32;
    pub fn proxy_call_foreign_function(
        name: *const u8, name_size: usize, arguments: *const u8, arguments_size: usize, data: *mut usize, size: *mut usize,
    ) -> u32;
}

#[no_mangle]
pub extern "C" fn proxy_abi_version_0_2_1() {}

#[no_mangle]
pub extern "C" fn malloc(size: usize) -> *mut u8 {
    let mut memory = Vec::<u8>::with_capacity(size);
    let start = memory.as_mut_ptr();
    std::mem::forget(memory);
    start
}

pub fn log(text: &str) {
    unsafe { proxy_log(2, text.as_ptr(), text.len()) };
}

fn owned(status: u32, data: usize, size: usize) -> Option<Vec<u8>> {
    match (status, data) {
        (0, 0) => Some(Vec::new()),
        (0, _) => Some(unsafe { Vec::from_raw_parts(data as *mut u8, size, size) }),
        _ => None,
    }
}

pub fn buffer(kind: u32) -> Option<Vec<u8>> {
    let (mut data, mut size) = (0, 0);
    let status = unsafe { proxy_get_buffer_bytes(kind, 0, usize::MAX >> 1, &mut data, &mut size) };
    owned(status, data, size)
}

pub fn header(map: u32, name: &str) -> String {
    let (mut data, mut size) = (0, 0);
    let status = unsafe { proxy_get_header_map_value(map, name.as_ptr(), name.len(), &mut data, &mut size) };
    String::from_utf8_lossy(&owned(status, data, size).unwrap_or_default()).into_owned()
}

pub fn set_header(map: u32, name: &str, value: &str) -> u32 {
    unsafe { proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len()) }
}

pub const REQUEST: u32 = 0;
pub const RESPONSE: u32 = 2;
