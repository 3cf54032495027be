import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before, test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { ACCESS } from "./access.ts";
import { openApiDocument } from "./openapi-document.ts";

type Operation = { security: object[]; operationId: string; responses: object };
let text: string;
let paths: Record<string, Record<string, Operation>>;
before(async () => {
  text = await openApiDocument();
  paths = (JSON.parse(text) as { paths: typeof paths }).paths;
});

test("it is a valid OpenAPI 3.1 document", async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(text);
  assert.ok(valid, JSON.stringify(errors));
  assert.equal(validator.version, "3.1");
});

test("it lists every API route with its way of proving who asks", () => {
  const expected = Object.keys(ACCESS)
    .filter((key) => key.includes(" /api/"))
    .map((key) => key.replaceAll(/:(\w+)/g, "{$1}"));
  const listed = Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  assert.deepEqual(listed.toSorted(), expected.toSorted());
  assert.deepEqual(paths["/api/whatsapp/link-exchange"]?.["post"]?.security, []);
  assert.deepEqual(paths["/api/whatsapp/companies"]?.["post"]?.security, [{ token: [] }]);
  const ids = Object.values(paths).flatMap((operations) =>
    Object.values(operations).map(({ operationId }) => operationId),
  );
  assert.equal(new Set(ids).size, ids.length);
});

test("docs/openapi.json is this document: run `pnpm openapi` in services/gateway", async () => {
  const committed = await readFile(new URL("../../../docs/openapi.json", import.meta.url), "utf8");
  assert.equal(committed, text);
});
