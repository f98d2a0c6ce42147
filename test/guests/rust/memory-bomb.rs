//! memory-bomb: takes memory until there is no more.
use guests::{http_contexts, number_after, path, plugin};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::Action;

plugin!(Root);

#[derive(Default)]
struct Root;

impl Context for Root {}

impl RootContext for Root {
    http_contexts!(self, _id => Stream);
}

struct Stream;

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let path = path();
        if path == "/bomb" {
            loop {
                // Aborts, which is a trap, when the allocator finds no more.
                std::mem::forget(std::hint::black_box(vec![1u8; 1 << 20]));
            }
        }
        if path == "/grow" {
            while core::arch::wasm32::memory_grow(0, 16) != usize::MAX {}
        }
        if let Some(mib) = number_after(&path, "/hold/") {
            std::mem::forget(std::hint::black_box(vec![1u8; (mib as usize) << 20]));
        }
        Action::Continue
    }
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let pages = core::arch::wasm32::memory_size(0);
        self.set_http_response_header("x-memory-pages", Some(&pages.to_string()));
        Action::Continue
    }
}
