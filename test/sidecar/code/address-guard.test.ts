import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { addressProblem, isLoopbackHost } from "../../../sidecar/code/address-guard.ts";

suite("addressProblem()", () => {
  const never = [
    "169.254.169.254", "169.254.0.1", "0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255", "100.100.100.200", "168.63.129.16",
    "fe80::1", "fe80::1%eth0", "ff02::1", "::", "fd00:ec2::254", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe",
    "64:ff9b::169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "0:0:0:0:0:ffff:a9fe:a9fe",
  ]; // prettier-ignore
  for (const address of never) {
    test(`never lets ${address} be reached`, () => {
      assert.match(addressProblem(address, true) ?? "", /link-local, reserved/);
    });
  }

  for (const address of ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "::ffff:127.0.0.1", "::7f00:1", "64:ff9b::7f00:1"]) {
    test(`lets ${address} be reached only where loopback is allowed`, () => {
      assert.match(addressProblem(address, false) ?? "", /this machine's own/);
      assert.equal(addressProblem(address, true), undefined);
    });
  }

  for (const address of ["10.1.2.3", "192.168.0.1", "172.16.0.1", "93.184.216.34", "2606:2800:220:1::1", "fd12::1"]) {
    test(`lets ${address} be reached`, () => assert.equal(addressProblem(address, false), undefined));
  }

  test("refuses what is no address", () =>
    assert.match(addressProblem("registry.example", true) ?? "", /no IP address/));
});

test("isLoopbackHost() knows the machine's own names", () => {
  const own = ["localhost", "LOCALHOST", "a.localhost", "127.0.0.1", "[::1]"].filter((host) => !isLoopbackHost(host));
  const others = ["localhost.example", "10.0.0.1", "ghcr.io", "127.0.0.1.example"].filter((host) =>
    isLoopbackHost(host),
  );
  assert.deepEqual([own, others], [[], []]);
});
