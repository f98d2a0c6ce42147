//! shared-data: counts requests with compare-and-swap.
use guests::{configuration, http_contexts, path, plugin};
use proxy_wasm::hostcalls::{get_shared_data, set_shared_data};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, Status};

plugin!(Root);

#[derive(Default)]
struct Root {
    key: String,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        self.key = configuration(BufferType::PluginConfiguration);
        if self.key.is_empty() {
            self.key = "counter".into();
        }
        true
    }
    http_contexts!(self, _id => Stream { key: self.key.clone(), path: String::new() });
}

struct Stream {
    key: String,
    path: String,
}

impl Stream {
    fn count(&self) -> (u64, u32) {
        for attempt in 0..100 {
            let (value, cas) = get_shared_data(&self.key).unwrap_or((None, None));
            let text = value.unwrap_or_else(|| b"0".to_vec());
            let next = String::from_utf8_lossy(&text).parse::<u64>().unwrap_or(0) + 1;
            match set_shared_data(&self.key, Some(next.to_string().as_bytes()), cas) {
                Ok(()) => return (next, attempt),
                Err(Status::CasMismatch) => {}
                Err(status) => panic!("set_shared_data: {status:?}"),
            }
        }
        panic!("compare-and-swap failed 100 times");
    }

    fn stale(&self) -> &'static str {
        set_shared_data(&self.key, Some(b"10"), None).ok();
        let (_, cas) = get_shared_data(&self.key).unwrap_or((None, None));
        set_shared_data(&self.key, Some(b"20"), None).ok();
        match set_shared_data(&self.key, Some(b"30"), cas) {
            Ok(()) => "ok",
            Err(Status::CasMismatch) => "mismatch",
            Err(_) => "other",
        }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.path = path();
        Action::Continue
    }
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        match self.path.as_str() {
            "/stale" => self.set_http_response_header("x-cas", Some(self.stale())),
            "/empty" => {
                set_shared_data("empty", Some(b""), None).ok();
                let found = get_shared_data("empty");
                self.set_http_response_header("x-empty", Some(&format!("{:?}", found.map(|pair| pair.0))));
            }
            "/missing" => {
                let found = get_shared_data("never-set");
                self.set_http_response_header("x-missing", Some(&format!("{found:?}")));
            }
            _ => {
                let (count, retries) = self.count();
                self.set_http_response_header("x-count", Some(&count.to_string()));
                self.set_http_response_header("x-retries", Some(&retries.to_string()));
            }
        }
        Action::Continue
    }
}
