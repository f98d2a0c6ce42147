//! access-log: an access logger. In proxy_on_log it logs what its configuration lists, with raw statuses.
#[path = "raw.rs"]
mod raw;
use raw::{buffer, log, proxy_get_header_map_pairs, proxy_get_header_map_value, proxy_get_property, set_header};
use std::cell::RefCell;

const PLUGIN_CONFIGURATION: u32 = 7;

thread_local! {
    static ROOTS: RefCell<Vec<(u32, String)>> = const { RefCell::new(Vec::new()) };
}

#[no_mangle]
pub extern "C" fn proxy_on_configure(root: u32, _size: u32) -> u32 {
    let text = String::from_utf8_lossy(&buffer(PLUGIN_CONFIGURATION).unwrap_or_default()).into_owned();
    let is_good = !text.starts_with("refuse");
    ROOTS.with_borrow_mut(|roots| roots.push((root, text)));
    is_good as u32
}

/// The bytes, or the status.
fn taken(status: u32, data: usize, size: usize) -> Result<Vec<u8>, u32> {
    match (status, data) {
        (0, 0) => Ok(Vec::new()),
        (0, _) => Ok(unsafe { Vec::from_raw_parts(data as *mut u8, size, size) }),
        _ => Err(status),
    }
}

fn shown(bytes: Result<Vec<u8>, u32>) -> String {
    match bytes {
        Ok(bytes) if bytes.iter().all(|byte| (32..127).contains(byte)) => String::from_utf8_lossy(&bytes).into_owned(),
        Ok(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        Err(status) => format!("!{status}"),
    }
}

fn read(words: &[&str]) -> String {
    let (mut data, mut size) = (0, 0);
    match *words {
        ["header", map, name] => {
            let map = map.parse().unwrap_or(99);
            let status = unsafe { proxy_get_header_map_value(map, name.as_ptr(), name.len(), &mut data, &mut size) };
            shown(taken(status, data, size))
        }
        ["pairs", map] => {
            let status = unsafe { proxy_get_header_map_pairs(map.parse().unwrap_or(99), &mut data, &mut size) };
            taken(status, data, size).map_or_else(|status| format!("!{status}"), |bytes| (!bytes.is_empty()).to_string())
        }
        ["property", path] => {
            let path = path.replace('.', "\0");
            let status = unsafe { proxy_get_property(path.as_ptr(), path.len(), &mut data, &mut size) };
            shown(taken(status, data, size))
        }
        ["set", map, name] => format!("!{}", set_header(map.parse().unwrap_or(99), name, "x")),
        ["trap"] => unreachable!(),
        _ => "?".into(),
    }
}

#[no_mangle]
pub extern "C" fn proxy_on_log(id: u32) {
    let configuration = ROOTS.with_borrow(|roots| roots.iter().find(|root| root.0 == id).map(|root| root.1.clone()));
    let Some(text) = configuration else { return log("access log: of no root context") };
    let items: Vec<String> = text
        .lines()
        .map(|line| format!("{line} = {}", read(&line.split(' ').collect::<Vec<&str>>())))
        .collect();
    log(&format!("access log: {}", items.join("; ")));
}
