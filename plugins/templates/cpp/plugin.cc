// {{name}} gives every response the header x-{{name}}, whose value is the plugin's configuration.
//
// C++ against the bare ABI, without SDK and libc: what a plugin needs at the least is a marker of the ABI's version, malloc for the
// host, and the callbacks that it cares about.

using u32 = unsigned int;
using size_t = decltype(sizeof(0));

#define IMPORT(name) __attribute__((import_module("env"), import_name(#name))) u32 name
#define EXPORT(name) extern "C" __attribute__((export_name(#name)))

extern "C" {
IMPORT(proxy_log)(u32 level, const char* message, u32 size);
IMPORT(proxy_get_buffer_bytes)(u32 type, u32 start, u32 length, char** data, u32* size);
IMPORT(proxy_replace_header_map_value)(u32 map, const char* key, u32 key_size, const char* value, u32 value_size);
}

constexpr u32 kOk = 0, kInfo = 2, kError = 4, kResponseHeaders = 2, kPluginConfiguration = 7;

// Nothing is ever freed: the host allocates here for the configuration only.
extern "C" char __heap_base;
static char* heap = &__heap_base;

EXPORT(malloc) void* malloc(size_t size) {
  char* start = heap;
  size_t end = reinterpret_cast<size_t>(start) + ((size + 7) & ~size_t{7});
  size_t pages = (end + 0xffff) >> 16;
  size_t have = __builtin_wasm_memory_size(0);
  if (end < reinterpret_cast<size_t>(start)) return nullptr;
  if (pages > have && __builtin_wasm_memory_grow(0, pages - have) == ~size_t{0}) return nullptr;
  heap = reinterpret_cast<char*>(end);
  return start;
}

struct Text {
  const char* data;
  u32 size;
};

template <u32 N>
constexpr Text text(const char (&literal)[N]) {
  return {literal, N - 1};
}

static void log(u32 level, Text first, Text second = {"", 0}) {
  char* line = static_cast<char*>(malloc(first.size + second.size));
  if (!line) return;
  for (u32 i = 0; i < first.size; i++) line[i] = first.data[i];
  for (u32 i = 0; i < second.size; i++) line[first.size + i] = second.data[i];
  proxy_log(level, line, first.size + second.size);
}

// One VM serves one configuration of this plugin; one that serves several keeps a value for each root context.
static Text value = text("hello");

EXPORT(proxy_abi_version_0_2_1) void proxy_abi_version_0_2_1() {}

// Reads the configuration; answering 0 would refuse it.
EXPORT(proxy_on_configure) u32 proxy_on_configure(u32, u32 size) {
  if (size > 0) {
    char* data = nullptr;
    if (proxy_get_buffer_bytes(kPluginConfiguration, 0, size, &data, &size) != kOk) {
      log(kError, text("{{name}}: cannot read the configuration"));
      return 0;
    }
    value = {data, size};
  }
  log(kInfo, text("{{name}}: configured with "), value);
  return 1;
}

EXPORT(proxy_on_response_headers) u32 proxy_on_response_headers(u32, u32, u32) {
  constexpr Text name = text("x-{{name}}");
  proxy_replace_header_map_value(kResponseHeaders, name.data, name.size, value.data, value.size);
  return 0;
}
