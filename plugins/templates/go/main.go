// {{name}} gives every response the header x-{{name}}, whose value is the plugin's configuration.
package main

import (
	"errors"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

// The host calls init; main never runs.
func init() {
	proxywasm.SetVMContext(&vmContext{})
}

func main() {}

type vmContext struct{ types.DefaultVMContext }

func (*vmContext) NewPluginContext(uint32) types.PluginContext { return &pluginContext{} }

type pluginContext struct {
	types.DefaultPluginContext
	value string
}

// OnPluginStart reads the configuration; answering Failed would refuse it.
func (p *pluginContext) OnPluginStart(int) types.OnPluginStartStatus {
	configuration, err := proxywasm.GetPluginConfiguration()
	if err != nil && !errors.Is(err, types.ErrorStatusNotFound) {
		proxywasm.LogErrorf("{{name}}: cannot read the configuration: %v", err)
		return types.OnPluginStartStatusFailed
	}
	p.value = string(configuration)
	if p.value == "" {
		p.value = "hello"
	}
	proxywasm.LogInfo("{{name}}: configured with " + p.value)
	return types.OnPluginStartStatusOK
}

func (p *pluginContext) NewHttpContext(uint32) types.HttpContext {
	return &httpContext{value: p.value}
}

// httpContext is one request with its response. Implement more of types.HttpContext to see more of them.
type httpContext struct {
	types.DefaultHttpContext
	value string
}

func (h *httpContext) OnHttpResponseHeaders(int, bool) types.Action {
	if err := proxywasm.ReplaceHttpResponseHeader("x-{{name}}", h.value); err != nil {
		proxywasm.LogErrorf("{{name}}: cannot set the header: %v", err)
	}
	return types.ActionContinue
}
