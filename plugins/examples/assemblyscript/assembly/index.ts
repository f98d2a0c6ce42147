// custom-response-header adds or replaces response headers.
//
// Configuration: {"headers":[{"name":"X-Name","value":"text"}]}, read once per plugin in proxy_on_configure; one
// that is not of this shape is refused with a log line, and the proxy then keeps the last good one.

export * from "@solo-io/proxy-runtime/assembly/proxy";
import {
  Context,
  FilterHeadersStatusValues,
  LogLevelValues,
  RootContext,
  log,
  registerRootContext,
  stream_context,
} from "@solo-io/proxy-runtime/assembly";
import { BufferTypeValues, get_buffer_bytes } from "@solo-io/proxy-runtime/assembly/runtime";
import { ConfigurationReader, Header } from "./json";

class Plugin extends RootContext {
  headers: Array<Header> = [];

  // Not calling super.onConfigure: it passes the size itself where the ABI wants a pointer to it.
  onConfigure(size: u32): bool {
    if (size == 0) return true;
    const reader = new ConfigurationReader(
      String.UTF8.decode(get_buffer_bytes(BufferTypeValues.PluginConfiguration, 0, size)),
    );
    reader.read();
    if (reader.problem != "") {
      log(LogLevelValues.error, "custom-response-header: configuration refused: " + reader.problem);
      return false;
    }
    this.headers = reader.headers;
    return true;
  }

  createContext(id: u32): Context {
    return new Stream(id, this);
  }
}

class Stream extends Context {
  constructor(id: u32, private plugin: Plugin) {
    super(id, plugin);
  }

  onResponseHeaders(_count: u32, _endOfStream: bool): FilterHeadersStatusValues {
    const headers = this.plugin.headers;
    for (let i = 0; i < headers.length; i++) stream_context.headers.response.replace(headers[i].name, headers[i].value);
    return FilterHeadersStatusValues.Continue;
  }
}

// The SDK looks the root context up by the plugin's root_id and aborts when nobody registered it.
registerRootContext((id: u32) => new Plugin(id), "");
registerRootContext((id: u32) => new Plugin(id), "custom-response-header");
