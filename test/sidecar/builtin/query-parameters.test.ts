// The query that is taken apart and put together: what is encoded for a reason stays encoded, whatever Envoy does.

import assert from "node:assert/strict";
import { test } from "node:test";
import { QueryParameters } from "../../../sidecar/builtin/query-parameters.ts";

const again = (path: string): string => new QueryParameters(path).writeTo(path);

test("a query means the same after it was taken apart", () => {
  assert.equal(again("/p?b=%20%0d%0A&a=%26x%3D1%23%2B%2526"), "/p?a=%26x%3D1%23%2B%2526&b=%20%0D%0A");
  assert.equal(again("/p?n%3D=%c3%bc+&%26=1"), "/p?%26=1&n%3D=%C3%BC+");
  assert.equal(again("/p?a=%4"), "/p?a=%4");
  assert.equal(again("/p"), "/p");
  assert.equal(again("/p?"), "/p");
});

test("a value is one value, whatever it holds", () => {
  const parameters = new QueryParameters("/p?z=1");
  parameters.add("a=", "1&b=2 #\r\n");
  parameters.add("a=", "");
  assert.equal(parameters.writeTo("/p?z=1"), "/p?a%3D=1%26b=2%20%23%0D%0A&a%3D=&z=1");
  parameters.overwrite("a=", "x");
  parameters.remove("z");
  assert.equal(parameters.writeTo("/p?z=1"), "/p?a%3D=x");
});
