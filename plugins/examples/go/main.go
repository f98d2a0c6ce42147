// custom-response-header adds or replaces response headers.
//
// Configuration: {"headers":[{"name":"X-Name","value":"text"}]}
// It is read once per plugin, in proxy_on_configure; a configuration that is
// not of this shape is refused with a log line, and the proxy then keeps the
// last good one.
package main

import (
	"errors"
	"fmt"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
	"github.com/valyala/fastjson"
)

// A reactor module (-buildmode=c-shared) never runs main: init registers the plugin.
func init() {
	proxywasm.SetVMContext(&vmContext{})
}

func main() {}

type vmContext struct{ types.DefaultVMContext }

func (*vmContext) NewPluginContext(uint32) types.PluginContext { return &pluginContext{} }

type header struct{ name, value string }

type pluginContext struct {
	types.DefaultPluginContext
	headers []header
}

func (p *pluginContext) OnPluginStart(int) types.OnPluginStartStatus {
	configuration, err := proxywasm.GetPluginConfiguration()
	if err != nil && !errors.Is(err, types.ErrorStatusNotFound) {
		proxywasm.LogErrorf("custom-response-header: cannot read the configuration: %v", err)
		return types.OnPluginStartStatusFailed
	}
	headers, err := parseHeaders(configuration)
	if err != nil {
		proxywasm.LogErrorf("custom-response-header: configuration refused: %v", err)
		return types.OnPluginStartStatusFailed
	}
	p.headers = headers
	return types.OnPluginStartStatusOK
}

// parseHeaders reads {"headers":[{"name":…,"value":…}]}; no configuration means no headers.
func parseHeaders(configuration []byte) ([]header, error) {
	if len(configuration) == 0 {
		return nil, nil
	}
	root, err := fastjson.ParseBytes(configuration)
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if root.Type() != fastjson.TypeObject {
		return nil, errors.New("not a JSON object")
	}
	if !root.Exists("headers") {
		return nil, nil
	}
	list, err := root.Get("headers").Array()
	if err != nil {
		return nil, errors.New(`"headers" is not an array`)
	}
	headers := make([]header, 0, len(list))
	for i, item := range list {
		name, value := item.Get("name"), item.Get("value")
		if name == nil || value == nil || name.Type() != fastjson.TypeString || value.Type() != fastjson.TypeString {
			return nil, fmt.Errorf(`headers[%d]: "name" and "value" must be strings`, i)
		}
		if len(name.GetStringBytes()) == 0 {
			return nil, fmt.Errorf(`headers[%d]: "name" is empty`, i)
		}
		headers = append(headers, header{string(name.GetStringBytes()), string(value.GetStringBytes())})
	}
	return headers, nil
}

func (p *pluginContext) NewHttpContext(uint32) types.HttpContext {
	return &httpContext{headers: p.headers}
}

type httpContext struct {
	types.DefaultHttpContext
	headers []header
}

func (h *httpContext) OnHttpResponseHeaders(int, bool) types.Action {
	for _, header := range h.headers {
		if err := proxywasm.ReplaceHttpResponseHeader(header.name, header.value); err != nil {
			proxywasm.LogErrorf("custom-response-header: cannot set %s: %v", header.name, err)
		}
	}
	return types.ActionContinue
}
