import assert from "node:assert/strict";
import { test } from "node:test";
import { createSilentLogger } from "@manyline/runtime";
import { FileGoneError, type NumberRef } from "../provider.ts";
import { fetchMetaFile } from "./files.ts";
import { type Graph, GraphRefusal } from "./graph.ts";
import type { MetaStore } from "./store.ts";

const SOURCE = Buffer.from(JSON.stringify({ id: "77", url: "https://elsewhere.example/old" }));
const number = { companyId: "c1", numberId: "num_1" } as unknown as NumberRef;

/** A Graph API that answers these addresses, one after the other; those that end in `old` are over. */
function graphOf(...addresses: string[]) {
  const asked: string[] = [];
  const graph = {
    origin: "https://graph.facebook.com",
    call: (_method: string, path: string) => {
      asked.push(path);
      return Promise.resolve({ url: addresses.shift() });
    },
    download: (address: string, token: string) => {
      asked.push(`${address} ${token}`);
      if (address.endsWith("old")) throw new GraphRefusal(404, undefined, null);
      return Promise.resolve([Buffer.from("x")]);
    },
  };
  const store = { load: () => Promise.resolve({ phoneNumberId: "106", token: "EAA" }) };
  const fetched = (source = SOURCE) =>
    fetchMetaFile(source, number, {
      graph: graph as unknown as Graph,
      store: store as unknown as MetaStore,
      logger: createSilentLogger(),
    });
  return { asked, fetched };
}

test("an address that is over is asked for anew, once; always for this number, with its token", async () => {
  const { asked, fetched } = graphOf("https://a.fbsbx.com/old", "https://a.fbsbx.com/new");
  await fetched();
  assert.deepEqual(asked, [
    "77?phone_number_id=106",
    "https://a.fbsbx.com/old EAA",
    "77?phone_number_id=106",
    "https://a.fbsbx.com/new EAA",
  ]);
  const gone = graphOf(...Array.from({ length: 4 }, () => "https://a.fbsbx.com/old"));
  await assert.rejects(gone.fetched(), FileGoneError);
  assert.equal(gone.asked.length, 4);
});

test("the token goes to nobody but Meta, and nothing is fetched that has no id", async () => {
  for (const address of [
    "https://a.fbsbx.com.evil.example/new",
    "https://evilfbsbx.com/new",
    "http://a.fbsbx.com/new",
    "https://elsewhere.example/new",
  ]) {
    const { asked, fetched } = graphOf(address);
    await assert.rejects(fetched(), FileGoneError, address);
    assert.deepEqual(asked, ["77?phone_number_id=106"]);
  }
  for (const id of [null, "../me", "7?x=1", 7]) {
    const { asked, fetched } = graphOf("https://a.fbsbx.com/new");
    await assert.rejects(fetched(Buffer.from(JSON.stringify({ id }))), FileGoneError);
    assert.deepEqual(asked, []);
  }
});
