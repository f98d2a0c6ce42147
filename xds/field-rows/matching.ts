// Fields of trees of matchers: what they look at, what they compare with, what they have done. Part of connection-manager.ts.

import type { MessageRows } from "../fields.ts";

export const MATCHING_ROWS: Readonly<Record<string, MessageRows>> = {
  "envoy.extensions.common.matching.v3.ExtensionWithMatcher": {
    supported: "matcher xds_matcher extension_config",
  },
  "envoy.extensions.common.matching.v3.ExtensionWithMatcherPerRoute": {
    supported: "xds_matcher",
  },
  "envoy.extensions.filters.http.composite.v3.Composite": {
    supported: "",
    refused: {
      named_filter_chains: "one filter runs here, not several; name it in the tree's actions",
      matcher: "the tree stands around the filter here, in an ExtensionWithMatcher",
    },
  },
  "envoy.extensions.filters.http.composite.v3.ExecuteFilterAction": {
    supported: "typed_config dynamic_config sample_percent",
    refused: {
      filter_chain: "one filter runs here, not several; use typed_config",
      filter_chain_name: "one filter runs here, not several; use typed_config",
    },
  },
  "envoy.extensions.filters.http.composite.v3.DynamicConfig": { supported: "name config_discovery" },
  "xds.type.matcher.v3.Matcher": {
    supported: "matcher_list matcher_tree on_no_match",
  },
  "xds.type.matcher.v3.Matcher.OnMatch": {
    supported: "matcher action",
    refused: {
      keep_matching: "filters do not know it, in Envoy neither",
    },
  },
  "xds.type.matcher.v3.Matcher.MatcherList": {
    supported: "matchers",
  },
  "xds.type.matcher.v3.Matcher.MatcherList.FieldMatcher": {
    supported: "predicate on_match",
  },
  "xds.type.matcher.v3.Matcher.MatcherList.Predicate": {
    supported: "single_predicate or_matcher and_matcher not_matcher",
  },
  "xds.type.matcher.v3.Matcher.MatcherList.Predicate.SinglePredicate": {
    supported: "input value_match custom_match",
  },
  "xds.type.matcher.v3.Matcher.MatcherList.Predicate.PredicateList": {
    supported: "predicate",
  },
  "xds.type.matcher.v3.Matcher.MatcherTree": {
    supported: "input exact_match_map prefix_match_map custom_match",
  },
  "xds.type.matcher.v3.Matcher.MatcherTree.MatchMap": {
    supported: "map",
  },
  "xds.type.matcher.v3.IPMatcher": { supported: "range_matchers" },
  "xds.type.matcher.v3.IPMatcher.IPRangeMatcher": { supported: "ranges on_match exclusive" },
  "xds.type.matcher.v3.ServerNameMatcher": { supported: "domain_matchers" },
  "xds.type.matcher.v3.ServerNameMatcher.DomainMatcher": { supported: "domains on_match" },
  "xds.core.v3.CidrRange": { supported: "address_prefix prefix_len" },
  "envoy.extensions.matching.input_matchers.ip.v3.Ip": {
    supported: "cidr_ranges",
    accepted: {
      stat_prefix: "addresses that do not parse are not counted",
    },
  },
  "envoy.extensions.matching.input_matchers.metadata.v3.Metadata": {
    supported: "invert",
    accepted: {
      value: "nothing sets dynamic metadata: there is never a value",
    },
  },
  "envoy.extensions.matching.common_inputs.environment_variable.v3.Config": { supported: "name" },
  "envoy.extensions.matching.common_inputs.network.v3.FilterStateInput": {
    supported: "key",
    refused: { field: "objects are matched whole here" },
  },
  "envoy.extensions.matching.common_inputs.network.v3.DynamicMetadataInput": {
    supported: "",
    accepted: {
      filter: "nothing sets dynamic metadata: there is never a value",
      path: "nothing sets dynamic metadata: there is never a value",
    },
  },
  "xds.type.matcher.v3.StringMatcher": {
    supported: "exact prefix suffix safe_regex contains ignore_case",
    refused: {
      custom: "this extension point is not supported",
    },
  },
  "xds.type.matcher.v3.RegexMatcher": {
    supported: "google_re2 regex",
  },
  "xds.type.matcher.v3.RegexMatcher.GoogleRE2": {
    supported: "",
  },
  "xds.core.v3.TypedExtensionConfig": {
    supported: "name typed_config",
  },
  "envoy.type.matcher.v3.HttpRequestHeaderMatchInput": {
    supported: "header_name",
  },
  "envoy.type.matcher.v3.HttpRequestTrailerMatchInput": {
    supported: "header_name",
  },
  "envoy.type.matcher.v3.HttpResponseHeaderMatchInput": {
    supported: "header_name",
  },
  "envoy.type.matcher.v3.HttpResponseTrailerMatchInput": {
    supported: "header_name",
  },
  "envoy.type.matcher.v3.HttpRequestQueryParamMatchInput": {
    supported: "query_param",
  },
};
