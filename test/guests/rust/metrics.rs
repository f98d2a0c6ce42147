//! metrics: a counter, a gauge and a histogram, read back into response headers.
use guests::{http_contexts, path, plugin};
use proxy_wasm::hostcalls::{define_metric, get_metric, increment_metric, record_metric};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, MetricType};

plugin!(Root);

#[derive(Default, Clone)]
struct Metrics {
    requests: u32,
    active: u32,
    path_length: u32,
}

#[derive(Default)]
struct Root {
    metrics: Metrics,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_vm_start(&mut self, _: usize) -> bool {
        self.metrics = Metrics {
            requests: define_metric(MetricType::Counter, "guest_requests").unwrap(),
            active: define_metric(MetricType::Gauge, "guest_active").unwrap(),
            path_length: define_metric(MetricType::Histogram, "guest_path_length").unwrap(),
        };
        let again = define_metric(MetricType::Counter, "guest_requests").unwrap();
        again == self.metrics.requests || again > 0
    }
    http_contexts!(self, _id => Stream { metrics: self.metrics.clone(), path: String::new() });
}

struct Stream {
    metrics: Metrics,
    path: String,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.path = path();
        increment_metric(self.metrics.requests, 1).unwrap();
        increment_metric(self.metrics.active, 1).unwrap();
        record_metric(self.metrics.path_length, self.path.len() as u64).unwrap();
        if let Some(name) = self.path.strip_prefix("/define/") {
            let id = define_metric(MetricType::Counter, name).unwrap();
            increment_metric(id, 1).unwrap();
        }
        if let Some(value) = guests::number_after(&self.path, "/gauge/") {
            record_metric(self.metrics.active, value).unwrap();
        }
        Action::Continue
    }
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let counter = get_metric(self.metrics.requests).unwrap();
        let gauge = get_metric(self.metrics.active).unwrap();
        self.set_http_response_header("x-counter", Some(&counter.to_string()));
        self.set_http_response_header("x-gauge", Some(&gauge.to_string()));
        Action::Continue
    }
    fn on_log(&mut self) {
        if !self.path.starts_with("/gauge/") {
            increment_metric(self.metrics.active, -1).unwrap();
        }
    }
}
