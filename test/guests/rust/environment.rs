//! environment: shows what WASI gives: environment variables, arguments, clocks, random bytes, standard output.
#[path = "raw.rs"]
mod raw;
use raw::{set_header, RESPONSE};

mod wasi {
    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    extern "C" {
        pub fn environ_sizes_get(count: *mut u32, size: *mut u32) -> u32;
        pub fn environ_get(pointers: *mut *mut u8, data: *mut u8) -> u32;
        pub fn args_sizes_get(count: *mut u32, size: *mut u32) -> u32;
        pub fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
        pub fn random_get(data: *mut u8, size: usize) -> u32;
        pub fn fd_write(fd: u32, vectors: *const [usize; 2], count: usize, written: *mut usize) -> u32;
        pub fn fd_prestat_get(fd: u32, prestat: *mut [u32; 2]) -> u32;
    }
}

fn environment() -> String {
    let (mut count, mut size) = (0, 0);
    let status = unsafe { wasi::environ_sizes_get(&mut count, &mut size) };
    let mut pointers = vec![std::ptr::null_mut(); count as usize];
    let mut data = vec![0u8; size as usize];
    let status = status | unsafe { wasi::environ_get(pointers.as_mut_ptr(), data.as_mut_ptr()) };
    let mut entries: Vec<String> =
        data.split(|byte| *byte == 0).filter(|e| !e.is_empty()).map(|e| String::from_utf8_lossy(e).into_owned()).collect();
    entries.sort();
    if status == 0 { entries.join("|") } else { format!("errno {status}") }
}

fn clock(clock: u32) -> (u32, u64) {
    let mut time = 0;
    (unsafe { wasi::clock_time_get(clock, 0, &mut time) }, time)
}

fn write(fd: u32, text: &str) -> (u32, usize) {
    let mut written = 0;
    let vectors = [[text.as_ptr() as usize, text.len()]];
    (unsafe { wasi::fd_write(fd, vectors.as_ptr(), 1, &mut written) }, written)
}

#[no_mangle]
pub extern "C" fn proxy_on_response_headers(_id: u32, _count: u32, _end: u32) -> u32 {
    set_header(RESPONSE, "x-env", &environment());
    let (mut count, mut size) = (9, 9);
    let status = unsafe { wasi::args_sizes_get(&mut count, &mut size) };
    set_header(RESPONSE, "x-args", &format!("{status} {count} {size}"));
    let (real, mono, mono_again, cpu) = (clock(0), clock(1), clock(1), clock(2));
    set_header(RESPONSE, "x-clock-realtime", &format!("{} {}", real.0, real.1));
    set_header(RESPONSE, "x-clock-monotonic", &format!("{} {}", mono.0, mono_again.1 >= mono.1));
    set_header(RESPONSE, "x-clock-cpu", &cpu.0.to_string());
    let mut bytes = [0u8; 16];
    let status = unsafe { wasi::random_get(bytes.as_mut_ptr(), bytes.len()) };
    set_header(RESPONSE, "x-random", &format!("{status} {}", bytes.iter().any(|byte| *byte != 0)));
    let mut large = vec![0u8; (64 << 10) + 1];
    let status = unsafe { wasi::random_get(large.as_mut_ptr(), large.len()) };
    set_header(RESPONSE, "x-random-large", &status.to_string());
    set_header(RESPONSE, "x-stdout", &format!("{:?}", write(1, "to standard output\n")));
    set_header(RESPONSE, "x-stderr", &format!("{:?}", write(2, "to standard error\n")));
    set_header(RESPONSE, "x-fd-9", &format!("{:?}", write(9, "nowhere")));
    let mut prestat = [0; 2];
    set_header(RESPONSE, "x-prestat", &unsafe { wasi::fd_prestat_get(3, &mut prestat) }.to_string());
    0
}
