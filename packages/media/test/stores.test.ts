/** One suite for both kinds of store. The bucket is a small server that checks every signature. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { MediaStoreError, MediaTooLarge, openMediaStore } from "../src/index.ts";
import type { MediaStore } from "../src/index.ts";
import { signedHeaders } from "../src/sign.ts";

const credentials = { keyId: "KEY", secret: "sec/ret+1", region: "eu-central-1" };
const objects = new Map<string, Buffer>();
let isDown = false;

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = Buffer.concat(await request.toArray());
  const url = new URL(request.url ?? "", `http://${request.headers.host ?? ""}`);
  const time = String(request.headers["x-amz-date"]);
  const at = new Date(
    time.replace(
      /^(....)(..)(..T..)(..)(..)Z$/,
      (_all, ...p) => `${p[0]}-${p[1]}-${p[2]}:${p[3]}:${p[4]}Z`,
    ),
  );
  const bodyHash = createHash("sha256").update(body).digest();
  const expected = signedHeaders({ method: request.method ?? "", url, bodyHash, at }, credentials);
  if (isDown) response.writeHead(503).end();
  else if (request.headers.authorization !== expected["authorization"])
    response.writeHead(403).end();
  else if (request.method === "PUT") {
    objects.set(url.pathname, body);
    response.writeHead(200).end();
  } else if (request.method === "DELETE") {
    objects.delete(url.pathname);
    response.writeHead(204).end();
  } else {
    const object = objects.get(url.pathname);
    if (object) response.writeHead(200, { "content-length": object.byteLength }).end(object);
    else response.writeHead(404).end();
  }
}
const server = createServer((request, response) => void answer(request, response));
let folder = "";
const stores = new Map<string, MediaStore>();
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "manyline-media-"));
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  const login = `${credentials.keyId}:${encodeURIComponent(credentials.secret)}`;
  stores.set("folder", openMediaStore(join(folder, "media")));
  stores.set(
    "bucket",
    openMediaStore(`s3+http://${login}@127.0.0.1:${port}/files/manyline?region=eu-central-1`),
  );
});
after(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

const key = { companyNo: 7, mediaId: `med_${"0".repeat(30)}ab` };
const limits = { maxBytes: 1_000_000 };
const storeOf = (name: string): MediaStore => stores.get(name) ?? assert.fail(name);
async function read(store: MediaStore, location: string): Promise<string | undefined> {
  const found = await store.open(location);
  return found && Buffer.concat(await found.stream.toArray()).toString();
}
async function* chunks(): AsyncGenerator<Buffer> {
  yield Buffer.from("abc");
  yield await Promise.resolve(Buffer.from("def"));
}

for (const name of ["folder", "bucket"]) {
  describe(name, () => {
    test("stores, opens, replaces, removes", async () => {
      const store = storeOf(name);
      const stored = await store.put(key, chunks(), limits);
      assert.deepEqual(stored, {
        location: `7/ab/${key.mediaId}`,
        bytes: 6,
        sha256: createHash("sha256").update("abcdef").digest("base64"),
      });
      const found = await store.open(stored.location);
      assert.equal(found?.bytes, 6);
      found?.stream.destroy();
      assert.equal(await read(store, stored.location), "abcdef");
      await store.put(key, [Buffer.from("new")], limits);
      assert.equal(await read(store, stored.location), "new");
      await store.remove(stored.location);
      assert.equal(await store.open(stored.location), undefined);
      await store.remove(stored.location);
    });

    test("too much, or broken off: nothing is stored", async () => {
      const store = storeOf(name);
      await assert.rejects(store.put(key, chunks(), { maxBytes: 5 }), MediaTooLarge);
      const broken = (async function* (): AsyncGenerator<Buffer> {
        yield await Promise.resolve(Buffer.from("a"));
        throw new Error("broken off");
      })();
      await assert.rejects(store.put(key, broken, limits), /broken off/);
      assert.equal(await store.open(`7/ab/${key.mediaId}`), undefined);
    });

    test("no other path than its own", async () => {
      const store = storeOf(name);
      const other = { companyNo: 7, mediaId: "../../etc/passwd" };
      await assert.rejects(store.put(other, chunks(), limits), TypeError);
      await assert.rejects(store.open("7/ab/../../x"), TypeError);
      await assert.rejects(store.remove("../secret"), TypeError);
    });
  });
}

test("a folder: what is old goes, also what a crash has left", async () => {
  const store = storeOf("folder");
  await store.put(key, chunks(), limits);
  assert.equal(await store.removeOlder(new Date(Date.now() - 60_000)), 0);
  assert.equal(await store.removeOlder(new Date(Date.now() + 60_000)), 1);
  assert.deepEqual(await readdir(join(folder, "media", "incoming")), []);
});

test("a folder that is not there at all is away, and so is not each file in it", async () => {
  const nowhere = openMediaStore(join(folder, "unmounted"));
  await assert.rejects(nowhere.open(`7/ab/${key.mediaId}`), MediaStoreError);
});

test("a bucket that is away, or refuses, is an error that may pass", async () => {
  const store = storeOf("bucket");
  isDown = true;
  await assert.rejects(store.put(key, chunks(), limits), MediaStoreError);
  await assert.rejects(store.open(`7/ab/${key.mediaId}`), MediaStoreError);
  isDown = false;
  const nobody = openMediaStore("s3+http://a:b@127.0.0.1:9/files");
  await assert.rejects(nobody.put(key, chunks(), limits), MediaStoreError);
});

test("settings that name no store are refused, without telling the secret", () => {
  for (const setting of [
    "",
    "ftp://host/x",
    "s3://host/bucket",
    "s3://k:s3cret@host",
    "s3://k:s3cret@h/B_",
  ]) {
    assert.throws(
      () => openMediaStore(setting),
      (error) => error instanceof TypeError && !error.message.includes("s3cret"),
    );
  }
});
