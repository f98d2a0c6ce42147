// {{name}} gives every response the header x-{{name}}, whose value is the plugin's configuration.

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

class Plugin extends RootContext {
  value: string = "hello";

  // Reads the configuration; answering false would refuse it. Not calling super.onConfigure: it passes the size itself
  // where the ABI wants a pointer to it.
  onConfigure(size: u32): bool {
    if (size != 0) this.value = String.UTF8.decode(get_buffer_bytes(BufferTypeValues.PluginConfiguration, 0, size));
    log(LogLevelValues.info, "{{name}}: configured with " + this.value);
    return true;
  }

  createContext(id: u32): Context {
    return new Stream(id, this);
  }
}

// One request with its response. Override more of Context to see more of them.
class Stream extends Context {
  constructor(id: u32, private plugin: Plugin) {
    super(id, plugin);
  }

  onResponseHeaders(_count: u32, _endOfStream: bool): FilterHeadersStatusValues {
    stream_context.headers.response.replace("x-{{name}}", this.plugin.value);
    return FilterHeadersStatusValues.Continue;
  }
}

// The SDK looks the root context up by the plugin's root_id, and aborts when nobody registered it.
registerRootContext((id: u32) => new Plugin(id), "");
registerRootContext((id: u32) => new Plugin(id), "{{name}}");
