// custom-response-header adds or replaces response headers: C++ against the bare ABI, no SDK, no libc.
//
// Configuration: {"headers":[{"name":"X-Name","value":"text"}]}, read once per plugin in proxy_on_configure; one
// that is not of this shape is refused with a log line, and the proxy then keeps the last good one.

using u32 = unsigned int;
using size_t = decltype(sizeof(0));

#define IMPORT(name) __attribute__((import_module("env"), import_name(#name))) u32 name
#define EXPORT(name) extern "C" __attribute__((export_name(#name)))

extern "C" {
IMPORT(proxy_log)(u32 level, const char* message, u32 size);
IMPORT(proxy_get_buffer_bytes)(u32 type, u32 start, u32 length, char** data, u32* size);
IMPORT(proxy_replace_header_map_value)(u32 map, const char* key, u32 key_size, const char* value, u32 value_size);
}

constexpr u32 kOk = 0, kError = 4, kResponseHeaders = 2, kPluginConfiguration = 7;
constexpr u32 kMaxHeaders = 64, kMaxRoots = 16, kMaxDepth = 64;

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

struct Header {
  Text name, value;
};

struct Root {
  u32 id;
  u32 count;
  Header headers[kMaxHeaders];
};

static bool equal(Text a, const char* b) {
  u32 i = 0;
  while (i < a.size && b[i] == a.data[i]) i++;
  return i == a.size && b[i] == 0;
}

// Reads the configuration in place: strings are unescaped where they stand and point into the text.
struct Reader {
  char* at;
  char* end;
  const char* problem = nullptr;

  bool fail(const char* sentence) {
    if (!problem) problem = sentence;
    return false;
  }

  // The next character that is not white space, not consumed; 0 at the end.
  char peek() {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) at++;
    return at < end ? *at : 0;
  }

  bool open(char bracket, const char* sentence) {
    if (peek() != bracket) return fail(sentence);
    at++;
    return true;
  }

  // True when another item follows; consumes the comma before it, or the closing bracket.
  bool next(bool& first, char close) {
    if (problem) return false;
    char c = peek();
    if (c == close) return at++, false;
    if (first) return first = false, true;
    if (c != ',') return fail("expected a comma or a closing bracket");
    at++;
    return true;
  }

  Text key() {
    Text k = string();
    if (!problem && peek() != ':') fail("expected a colon");
    at++;
    return k;
  }

  Text string() {
    if (peek() != '"') return fail("expected a string"), Text{nullptr, 0};
    char* out = ++at;
    Text text{out, 0};
    while (at < end && static_cast<unsigned char>(*at) >= 0x20) {
      char c = *at++;
      if (c == '"') return text.size = static_cast<u32>(out - text.data), text;
      if (c != '\\') *out++ = c;
      else if (!escape(out)) break;
    }
    return fail("a string that does not end or has a bad character"), Text{nullptr, 0};
  }

  bool escape(char*& out) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = at < end ? *at++ : 0;
    for (u32 i = 0; from[i]; i++)
      if (from[i] == c) return *out++ = to[i], true;
    if (c != 'u' || end - at < 4) return false;
    u32 code = 0;
    for (u32 i = 0; i < 4; i++) {
      char d = *at++, l = d | 0x20;
      if (d >= '0' && d <= '9') code = code * 16 + (d - '0');
      else if (l >= 'a' && l <= 'f') code = code * 16 + (l - 'a' + 10);
      else return false;
    }
    if (code < 0x80) return *out++ = static_cast<char>(code), true;
    if (code >= 0x800) *out++ = static_cast<char>(0xe0 | (code >> 12)), *out++ = static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    else *out++ = static_cast<char>(0xc0 | (code >> 6));
    return *out++ = static_cast<char>(0x80 | (code & 0x3f)), true;
  }

  void skip(u32 depth) {
    bool first = true;
    char c = peek();
    if (depth > kMaxDepth) fail("nested too deeply");
    else if (c == '"') string();
    else if (c == '{') {
      for (at++; next(first, '}');) key(), skip(depth + 1);
    } else if (c == '[') {
      for (at++; next(first, ']');) skip(depth + 1);
    } else word();
  }

  void word() {
    Text text{at, 0};
    while (at < end && ((*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'z') || *at == '+' || *at == '-' || *at == '.' || *at == 'E')) at++;
    text.size = static_cast<u32>(at - text.data);
    bool number = text.size > 0 && (*text.data == '-' || (*text.data >= '0' && *text.data <= '9'));
    if (!number && !equal(text, "true") && !equal(text, "false") && !equal(text, "null")) fail("not a JSON value");
  }

  void header(Root& root) {
    Header header{{nullptr, 0}, {nullptr, 0}};
    bool first = true;
    if (!open('{', "a header is not an object")) return;
    while (next(first, '}')) {
      Text k = key();
      if (equal(k, "name")) header.name = string();
      else if (equal(k, "value")) header.value = string();
      else skip(0);
    }
    if (problem) return;
    if (header.name.size == 0 || !header.value.data) fail("a header needs \"name\", not empty, and \"value\", both strings");
    else if (root.count == kMaxHeaders) fail("more than 64 headers");
    else root.headers[root.count++] = header;
  }

  void read(Root& root) {
    bool first = true;
    if (!open('{', "not a JSON object")) return;
    while (next(first, '}')) {
      if (!equal(key(), "headers")) {
        skip(0);
        continue;
      }
      bool firstHeader = true;
      if (!open('[', "\"headers\" is not an array")) return;
      while (next(firstHeader, ']')) header(root);
    }
    if (!problem && peek() != 0) fail("text after the JSON value");
  }
};

static Root roots[kMaxRoots];
static u32 root_count = 0;

// Streams need no state of their own, only the way to their plugin: a small table from id to root.
struct Stream {
  u32 id;
  Root* root;
};
static Stream* streams = nullptr;
static u32 capacity = 0;

static void remember(u32 id, Root* root) {
  for (u32 i = 0; i < capacity; i++)
    if (streams[i].id == 0) return void(streams[i] = {id, root});
  u32 wider = capacity ? capacity * 2 : 64;
  auto* grown = static_cast<Stream*>(malloc(wider * sizeof(Stream)));
  for (u32 i = 0; i < wider; i++) grown[i] = i < capacity ? streams[i] : Stream{0, nullptr};
  grown[capacity] = {id, root};
  streams = grown;
  capacity = wider;
}

static Root* find_root(u32 id) {
  for (u32 i = 0; i < root_count; i++)
    if (roots[i].id == id) return &roots[i];
  return nullptr;
}

EXPORT(proxy_abi_version_0_2_1) void proxy_abi_version_0_2_1() {}

EXPORT(proxy_on_context_create) void proxy_on_context_create(u32 id, u32 parent) {
  if (parent != 0) remember(id, find_root(parent));
  else if (root_count < kMaxRoots) roots[root_count++].id = id;
}

EXPORT(proxy_on_configure) u32 proxy_on_configure(u32 id, u32 size) {
  Root* root = find_root(id);
  char* text = nullptr;
  if (!root) return 0;
  root->count = 0;
  if (size == 0) return 1;
  if (proxy_get_buffer_bytes(kPluginConfiguration, 0, size, &text, &size) != kOk) return 0;
  Reader reader{text, text + size};
  reader.read(*root);
  if (!reader.problem) return 1;
  static const char prefix[] = "custom-response-header: configuration refused: ";
  static char line[sizeof(prefix) + 80];
  u32 length = 0;
  for (const char* c = prefix; *c; c++) line[length++] = *c;
  for (const char* c = reader.problem; *c && length < sizeof(line); c++) line[length++] = *c;
  proxy_log(kError, line, length);
  return 0;
}

EXPORT(proxy_on_response_headers) u32 proxy_on_response_headers(u32 id, u32, u32) {
  for (u32 i = 0; i < capacity; i++) {
    if (streams[i].id != id || !streams[i].root) continue;
    const Root& root = *streams[i].root;
    for (u32 h = 0; h < root.count; h++) {
      const Header& header = root.headers[h];
      proxy_replace_header_map_value(kResponseHeaders, header.name.data, header.name.size, header.value.data, header.value.size);
    }
  }
  return 0;
}

EXPORT(proxy_on_delete) void proxy_on_delete(u32 id) {
  for (u32 i = 0; i < capacity; i++)
    if (streams[i].id == id) streams[i].id = 0;
}
