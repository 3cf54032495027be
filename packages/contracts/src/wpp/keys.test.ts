import assert from "node:assert/strict";
import { it } from "node:test";
import { maskWppKey, newWppSubOrgId } from "./keys.ts";

it("a key is shown by its ends, a short one not at all", () => {
  assert.equal(maskWppKey("k_sample_000000000000000002"), "k_samp••••••0002");
  assert.equal(maskWppKey("123456789012"), "123456••••••9012");
  assert.equal(maskWppKey("12345678901"), "***");
});

it("an organisation for a further number is named after its company, each by itself", () => {
  const [one, two] = [newWppSubOrgId("962302"), newWppSubOrgId("962302")];
  assert.match(one, /^962302__wpp__[0-9a-f]{8}$/);
  assert.notEqual(one, two);
});
