//! tick: counts ticks in a metric and in shared data.
use guests::{configuration, http_contexts, instructions, plugin, setting};
use proxy_wasm::hostcalls::{define_metric, get_shared_data, increment_metric, set_shared_data};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, MetricType};
use std::time::Duration;

plugin!(Root);

#[derive(Default)]
struct Root {
    ticks: u64,
    stop_after: u64,
    metric: u32,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let lines = instructions(&configuration(BufferType::PluginConfiguration), 2);
        let period = setting(&lines, "period_ms", "100").parse().unwrap_or(100);
        self.stop_after = setting(&lines, "stop_after", "0").parse().unwrap_or(0);
        self.metric = define_metric(MetricType::Counter, "guest_ticks").unwrap_or(0);
        self.set_tick_period(Duration::from_millis(period));
        true
    }
    fn on_tick(&mut self) {
        self.ticks += 1;
        increment_metric(self.metric, 1).ok();
        set_shared_data("ticks", Some(self.ticks.to_string().as_bytes()), None).ok();
        if self.ticks == self.stop_after {
            self.set_tick_period(Duration::ZERO);
        }
    }
    http_contexts!(self, _id => Stream);
}

struct Stream;

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let ticks = get_shared_data("ticks").ok().and_then(|found| found.0).unwrap_or_else(|| b"0".to_vec());
        self.set_http_response_header("x-ticks", Some(&String::from_utf8_lossy(&ticks)));
        Action::Continue
    }
}
