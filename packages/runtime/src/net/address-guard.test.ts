import assert from "node:assert/strict";
import { test } from "node:test";
import { addressGuard } from "./address-guard.ts";

const REFUSED = [
  "0.0.0.0",
  "10.1.2.3",
  "100.64.0.1",
  "127.0.0.1",
  "127.255.255.254",
  "169.254.169.254",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.1.1",
  "192.0.0.8",
  "198.18.0.1",
  "203.0.113.7",
  "224.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "::ffff:127.0.0.1",
  "::ffff:8.8.8.8",
  "64:ff9b::7f00:1",
  "fc00::1",
  "fd12:3456::1",
  "fe80::1",
  "fe80::1%eth0",
  "ff02::1",
  "2001:db8::1",
  "2001::1",
  "2002:7f00:1::1",
  "3fff::1",
  "",
  "localhost",
  "2130706433",
];
const ALLOWED = ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "2a00:1450::1"];

test("only what everybody can reach is allowed", () => {
  const guard = addressGuard();
  for (const address of REFUSED) assert.equal(guard.allows(address), false, address);
  for (const address of ALLOWED) assert.equal(guard.allows(address), true, address);
});

test("addresses and ranges can be opened, and nothing beside them", () => {
  const guard = addressGuard(["127.0.0.0/8", "::1", "10.0.0.7"]);
  for (const address of ["127.0.0.1", "127.9.9.9", "::1", "10.0.0.7", "8.8.8.8"]) {
    assert.equal(guard.allows(address), true, address);
  }
  for (const address of ["10.0.0.8", "::2", "192.168.0.1"]) {
    assert.equal(guard.allows(address), false, address);
  }
});

test("what is no address cannot be opened", () => {
  for (const text of ["localhost", "127.0.0.1/33", "127.0.0.1/", "::1/129", "1.2.3.4/5/6", ""]) {
    assert.throws(() => addressGuard([text]), TypeError, text);
  }
});
