//! body-chunk: changes each chunk as it passes, without holding it.
use guests::{configuration, http_contexts, info, plugin};
use proxy_wasm::hostcalls::{get_buffer, set_buffer, set_map_value};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, MapType};

plugin!(Root);

#[derive(Default)]
struct Root {
    text: String,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        self.text = configuration(BufferType::PluginConfiguration);
        true
    }
    http_contexts!(self, _id => Stream {
        request: self.text.contains("request"),
        response: self.text.contains("response"),
        grow: self.text.contains("grow"),
        calls: 0,
    });
}

struct Stream {
    request: bool,
    response: bool,
    grow: bool,
    calls: u32,
}

impl Stream {
    fn headers(&mut self, map: MapType, wanted: bool) -> Action {
        self.calls = 0;
        if wanted && self.grow {
            set_map_value(map, "content-length", None).ok();
        }
        Action::Continue
    }

    fn body(&mut self, buffer: BufferType, wanted: bool, size: usize, end: bool) -> Action {
        self.calls += 1;
        if wanted {
            let mut chunk = get_buffer(buffer, 0, size).ok().flatten().unwrap_or_default();
            assert_eq!(chunk.len(), size, "the buffer is as long as the callback says");
            chunk.make_ascii_uppercase();
            if self.grow && size > 0 {
                chunk.extend_from_slice(format!("[{size}]").as_bytes());
            }
            set_buffer(buffer, 0, size, &chunk).ok();
        }
        if end {
            info(&format!("{buffer:?}: {} calls", self.calls));
        }
        Action::Continue
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.headers(MapType::HttpRequestHeaders, self.request)
    }
    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        self.body(BufferType::HttpRequestBody, self.request, size, end)
    }
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.headers(MapType::HttpResponseHeaders, self.response)
    }
    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        self.body(BufferType::HttpResponseBody, self.response, size, end)
    }
}
