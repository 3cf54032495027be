import assert from "node:assert/strict";
import { test } from "node:test";
import { assertSameOrigin, cookieOf, pairingCookie } from "./cookie.ts";

test("reads one cookie among others", () => {
  assert.equal(cookieOf("a=1; manyline_pairing=mly_c_x=y; b=2", "manyline_pairing"), "mly_c_x=y");
  assert.equal(cookieOf("xmanyline_pairing=1", "manyline_pairing"), undefined);
  assert.equal(cookieOf("manyline_pairing=", "manyline_pairing"), undefined);
  assert.equal(cookieOf(undefined, "manyline_pairing"), undefined);
});

test("the cookie is out of reach of scripts and other sites, and Secure on https", () => {
  const ends = new Date("2026-03-01T12:00:00.000Z");
  const plain = pairingCookie("s", ends, "http://127.0.0.1:3000");
  assert.equal(
    plain,
    "manyline_pairing=s; Path=/api/whatsapp; Expires=Sun, 01 Mar 2026 12:00:00 GMT; HttpOnly; SameSite=Strict",
  );
  assert.match(pairingCookie("s", ends, "https://wa.example.com"), /; Secure$/);
});

test("other sites are refused, the page itself and programs are not", () => {
  const config = { publicUrl: "https://wa.example.com" };
  const from = (headers: Record<string, string>): (() => void) => {
    return () => assertSameOrigin({ headers, protocol: "http", host: "127.0.0.1:3000" }, config);
  };
  from({})();
  from({ "sec-fetch-site": "same-origin", origin: "https://wa.example.com" })();
  from({ origin: "https://wa.example.com" })();
  from({ origin: "http://127.0.0.1:3000" })();
  assert.throws(from({ "sec-fetch-site": "cross-site" }), { code: "FORBIDDEN" });
  assert.throws(from({ "sec-fetch-site": "same-site" }), { code: "FORBIDDEN" });
  assert.throws(from({ origin: "https://evil.example" }), { code: "FORBIDDEN" });
  assert.throws(from({ origin: "null" }), { code: "FORBIDDEN" });
});
