import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { Server } from "node:http";
import { readdir } from "node:fs/promises";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import { ManylineError, newMediaId } from "@manyline/contracts";
import { setMediaGone, setMediaStored } from "@manyline/db";
import { ask, openLine, stranger, textFrom } from "./conversations.ts";
import type { Line } from "./conversations.ts";
import { Owner } from "./owner.ts";
import { openWorld, record } from "./support.ts";
import type { Answer, World } from "./support.ts";

const PNG = Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), Buffer.alloc(600, 7)]);
const OGG = Buffer.concat([Buffer.from("OggS"), Buffer.alloc(100)]);

let world: World;
let owner: Owner;
let files: Server;
let site = "";
let asked: string[] = [];
before(async () => {
  world = await openWorld();
  owner = await new Owner(world).start();
  files = createServer((request, response) => {
    const path = request.url ?? "";
    asked.push(path);
    if (path === "/photo.png") response.writeHead(200, { "content-type": "image/png" }).end(PNG);
    else if (path.startsWith("/price")) {
      response.writeHead(200, { "content-type": "application/pdf; x=1" }).end("%PDF-1.7 ...");
    } else if (path === "/page") {
      response
        .writeHead(200, { "content-type": "image/png" })
        .end("<!doctype html><p>Not a picture");
    } else if (path === "/endless") {
      response.writeHead(200, { "content-type": "image/png" }).write(PNG);
      const more = Buffer.alloc(262_144);
      const pour = (): void => {
        while (!response.destroyed && response.write(more));
      };
      response.on("drain", pour);
      pour();
    } else if (path === "/cut") {
      response.writeHead(200, { "content-length": "1000" }).write(PNG);
      setTimeout(() => response.destroy(), 20);
    } else if (path === "/packed") response.writeHead(200, { "content-encoding": "gzip" }).end(PNG);
    else if (path === "/empty") response.writeHead(200, { "content-length": "0" }).end();
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => {
    files.listen(0, "127.0.0.1", resolve);
  });
  const address = files.address();
  if (typeof address === "object" && address) site = `http://127.0.0.1:${address.port}`;
});
after(async () => {
  files.closeAllConnections();
  files.close();
  await owner.stop();
  await world[Symbol.asyncDispose]();
});

type Body = Record<string, unknown>;
const to = "+79007654321";
const send = (line: Line, body: Body, key?: string): Promise<Answer> =>
  ask(world, line, "POST", "/messages", {
    body,
    headers: key === undefined ? {} : { "idempotency-key": key },
  });
const assertProblem = (answer: Answer, status: number, code: string, reason?: string): void =>
  assert.deepEqual(
    [answer.status, answer.body["code"], answer.body["reason"]],
    [status, code, reason],
    JSON.stringify(answer.body),
  );

async function upload(
  line: Line,
  content: Buffer,
  contentType?: string,
  query = "",
): Promise<Answer> {
  const response = await fetch(
    `${world.url}/api/whatsapp/sessions/${line.company.id}/media${query}`,
    {
      method: "POST",
      headers: {
        authorization: `Bearer ${line.company.token}`,
        ...(contentType === undefined ? {} : { "content-type": contentType }),
      },
      body: new Uint8Array(content),
    },
  );
  return {
    status: response.status,
    headers: response.headers,
    body: record(await response.json()),
  };
}

async function download(line: Line, mediaId: unknown): Promise<Response> {
  return fetch(`${world.url}/api/whatsapp/sessions/${line.company.id}/media/${String(mediaId)}`, {
    headers: { authorization: `Bearer ${line.company.token}` },
  });
}

/** Files in the store, whoever's. */
async function storedCount(): Promise<number> {
  const entries = await readdir(world.deps.config.media.store, {
    recursive: true,
    withFileTypes: true,
  });
  return entries.filter((entry) => entry.isFile()).length;
}

describe("sending a file by its address", () => {
  test("it is fetched, looked at and stored before the message is queued", async () => {
    const line = await openLine(world, owner);
    const answer = await send(line, {
      to,
      type: "image",
      url: `${site}/photo.png`,
      caption: "Like this",
    });
    assert.equal(answer.status, 202, JSON.stringify(answer.body));
    const message = record(answer.body["message"]);
    const media = record(message["media"]);
    assert.deepEqual(
      [message["type"], message["text"], media["mimeType"], media["bytes"]],
      ["image", "Like this", "image/png", PNG.byteLength],
    );
    const [claimed] = await owner.claim(line.numberNo);
    assert.deepEqual(claimed?.content?.media, media);
    const got = await download(line, media["id"]);
    assert.deepEqual(Buffer.from(await got.arrayBuffer()), PNG);
    const asDocument = await send(line, {
      to,
      type: "document",
      url: `${site}/price%20list.pdf?x=1`,
    });
    const document = record(record(asDocument.body["message"])["media"]);
    assert.deepEqual(
      [document["mimeType"], document["fileName"]],
      ["application/pdf", "price list.pdf"],
    );
  });

  test("what cannot be sent is refused, and nothing stays behind", async () => {
    const line = await openLine(world, owner);
    const countBefore = await storedCount();
    for (const [body, reason] of [
      [{ type: "image", url: `${site}/page` }, "wrong_type"],
      [{ type: "sticker", url: `${site}/photo.png` }, "wrong_type"],
      [{ type: "voice", url: `${site}/photo.png` }, "wrong_type"],
      [{ type: "image", url: `${site}/endless` }, "too_large"],
      [{ type: "image", url: `${site}/cut` }, "unreachable"],
      [{ type: "image", url: `${site}/empty` }, "empty"],
      [{ type: "document", url: `${site}/packed` }, "encoding"],
      [{ type: "image", url: `${site}/none` }, "status"],
      [{ type: "image", url: "http://127.0.0.1:9/" }, "unreachable"],
      [{ type: "image", url: "http://user:secret@127.0.0.1/" }, "bad_url"],
    ] as const) {
      assertProblem(await send(line, { to, ...body }), 422, "MEDIA_REFUSED", reason);
    }
    assert.equal(await storedCount(), countBefore);
    assert.deepEqual(await owner.claim(line.numberNo), []);
  });

  test("an address inside our network is not asked; neither is one for a message that is wrong anyway", async () => {
    const line = await openLine(world, owner);
    const port = new URL(site).port;
    asked = [];
    for (const host of [
      "127.0.0.2",
      "[::1]",
      "169.254.169.254",
      "10.0.0.1",
      "0x7f000002",
      "[::ffff:a00:1]",
    ]) {
      const url = `http://${host}:${port}/photo.png`;
      assertProblem(await send(line, { to, type: "image", url }), 422, "MEDIA_REFUSED", "address");
    }
    const url = `${site}/photo.png`;
    assertProblem(await send(line, { to: "nobody", type: "image", url }), 422, "INVALID_RECIPIENT");
    const body = { to, type: "image", url };
    assert.equal((await send(line, body, "once")).status, 202);
    const again = await send(line, body, "once");
    assert.equal(again.body["isRepeated"], true);
    assertProblem(await send(line, { ...body, caption: "x" }, "once"), 409, "IDEMPOTENCY_MISMATCH");
    assert.deepEqual(asked, ["/photo.png"], "once for the one message");
  });

  test("a server that answers with another protocol takes up no place", async () => {
    const line = await openLine(world, owner);
    const rude = net.createServer((socket) => {
      socket
        .on("error", () => undefined)
        .once("data", () => {
          socket.write("HTTP/1.1 101 Fine\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
        });
    });
    await new Promise<void>((resolve) => {
      rude.listen(0, "127.0.0.1", resolve);
    });
    const address = rude.address();
    const port = typeof address === "object" && address ? address.port : 0;
    const body = { to, type: "image", url: `http://127.0.0.1:${port}/photo.png` };
    // More than are taken in at a time.
    for (let nth = 0; nth < 9; nth += 1) {
      assertProblem(await send(line, body), 422, "MEDIA_REFUSED", "unreachable");
    }
    rude.close();
  });

  test("two at once with one key: one message, one file", async () => {
    const line = await openLine(world, owner);
    const countBefore = await storedCount();
    const body = { to, type: "image", url: `${site}/photo.png` };
    const answers = await Promise.all([1, 2, 3].map(() => send(line, body, "same")));
    assert.equal(new Set(answers.map((answer) => answer.body["messageId"])).size, 1);
    assert.equal(await storedCount(), countBefore + 1);
  });
});

describe("uploading", () => {
  test("a file of any type, to be sent as what it is", async () => {
    const line = await openLine(world, owner);
    const voice = await upload(line, OGG, "audio/ogg");
    assert.deepEqual([voice.status, voice.body["mimeType"]], [201, "audio/ogg"]);
    const sent = await send(line, {
      to,
      type: "voice",
      mediaId: voice.body["mediaId"],
      seconds: 3,
    });
    assert.equal(record(record(sent.body["message"])["media"])["seconds"], 3);
    assertProblem(
      await send(line, { to, type: "image", mediaId: voice.body["mediaId"] }),
      422,
      "MEDIA_REFUSED",
      "wrong_type",
    );
    const json = await upload(line, Buffer.from('{"a":1}'), "application/json", "?fileName=a.json");
    assert.deepEqual([json.status, json.body["mimeType"]], [201, "application/json"]);
    const document = await send(line, { to, type: "document", mediaId: json.body["mediaId"] });
    assert.equal(record(record(document.body["message"])["media"])["fileName"], "a.json");
    const claimed = await upload(line, Buffer.from("not a picture"), "image/png");
    assert.equal(claimed.body["mimeType"], "application/octet-stream");
    const asPicture = await send(line, { to, type: "image", mediaId: claimed.body["mediaId"] });
    assertProblem(asPicture, 422, "MEDIA_REFUSED", "wrong_type");
    const nameless = await upload(line, Buffer.from("abc"));
    assert.equal(nameless.body["mimeType"], "application/octet-stream");
  });

  test("empty, too large, to nobody's number, by who may not", async () => {
    const line = await openLine(world, owner);
    const countBefore = await storedCount();
    assertProblem(await upload(line, Buffer.alloc(0), "image/png"), 422, "MEDIA_REFUSED", "empty");
    const huge = await upload(line, Buffer.alloc(101 * 1_048_576), "image/png");
    assertProblem(huge, 413, "PAYLOAD_TOO_LARGE");
    // Without a length it is counted while it comes.
    const pour = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(1_048_576)),
    });
    const endless = await fetch(`${world.url}/api/whatsapp/sessions/${line.company.id}/media`, {
      method: "POST",
      headers: { authorization: `Bearer ${line.company.token}` },
      body: pour,
      duplex: "half",
    });
    assert.equal(endless.status, 413);
    const nowhere = await upload(line, PNG, "image/png", `?number=num_${"0".repeat(32)}`);
    assertProblem(nowhere, 404, "NUMBER_NOT_FOUND");
    assertProblem(await upload(line, PNG, "image/png", "?fileName=../x"), 400, "INVALID_REQUEST");
    const other = await openLine(world, owner);
    const foreign = { ...line, company: { ...line.company, token: other.company.token } };
    assertProblem(await upload(foreign, PNG, "image/png"), 404, "COMPANY_NOT_FOUND");
    assert.equal(await storedCount(), countBefore);
  });
});

describe("downloading", () => {
  /** A picture that came in, which WhatsApp still has. */
  async function picture(line: Line): Promise<string> {
    await owner.receive(
      line.numberNo,
      textFrom(stranger(), {
        type: "image",
        text: null,
        media: {
          mimeType: "image/png",
          bytes: PNG.byteLength,
          sha256: "aGFzaA==",
          fileName: 'Фото "1".png',
          source: Buffer.from("where it is"),
        },
      }),
    );
    const { body } = await ask(world, line, "GET", "/messages?limit=1");
    const [message] = body["messages"] as Body[];
    return String(record(message?.["media"])["id"]);
  }

  test("the owner fetches it when it is first asked for; from then on it is there", async () => {
    const line = await openLine(world, owner);
    const mediaId = await picture(line);
    owner.handler = async ({ verb, args, queue, numberNo, companyNo }) => {
      assert.deepEqual([verb, args["mediaId"], queue], ["fetch_media", mediaId, mediaId]);
      const stored = await world.deps.media.put({ companyNo, mediaId }, [PNG], {
        maxBytes: 10_000,
      });
      await owner.fenced(numberNo, (tx, fence) => setMediaStored(tx, fence, mediaId, stored));
      return { state: "done", result: {} };
    };
    const countBefore = owner.commands.length;
    for (let i = 0; i < 2; i += 1) {
      const got = await download(line, mediaId);
      assert.equal(got.status, 200);
      assert.deepEqual(Buffer.from(await got.arrayBuffer()), PNG);
      assert.equal(got.headers.get("content-type"), "image/png");
      assert.match(got.headers.get("content-security-policy") ?? "", /sandbox/);
      assert.equal(
        got.headers.get("content-disposition"),
        `attachment; filename="____ _1_.png"; filename*=UTF-8''${encodeURIComponent('Фото "1".png')}`,
      );
    }
    assert.equal(owner.commands.length, countBefore + 1);
    const cached = await fetch(
      `${world.url}/api/whatsapp/sessions/${line.company.id}/media/${mediaId}`,
      {
        headers: {
          authorization: `Bearer ${line.company.token}`,
          "if-none-match": `"${mediaId}"`,
        },
      },
    );
    assert.equal(cached.status, 304);
    const forwarded = await send(line, { to, type: "image", mediaId });
    assert.equal(forwarded.status, 202);
  });

  test("what is not there has a code", async () => {
    const line = await openLine(world, owner);
    const mediaId = await picture(line);
    const problemOf = async (id: string, of = line): Promise<unknown[]> => {
      const response = await download(of, id);
      return [response.status, record(await response.json())["code"]];
    };
    assertProblem(await send(line, { to, type: "image", mediaId }), 409, "MEDIA_NOT_READY");
    owner.handler = () => ({ state: "failed", error: { code: "NOT_CONNECTED" } });
    assert.deepEqual(await problemOf(mediaId), [409, "NOT_CONNECTED"]);
    owner.handler = () => ({ state: "done", result: {} });
    assert.deepEqual(await problemOf(mediaId), [409, "MEDIA_NOT_READY"]);
    owner.handler = async ({ numberNo }) => {
      await owner.fenced(numberNo, (tx, fence) => setMediaGone(tx, fence, mediaId));
      return { state: "failed", error: { code: "MEDIA_NOT_FOUND" } };
    };
    assert.deepEqual(await problemOf(mediaId), [404, "MEDIA_NOT_FOUND"]);
    assert.deepEqual(await problemOf(mediaId), [404, "MEDIA_NOT_FOUND"]);
    assert.deepEqual(await problemOf(newMediaId()), [404, "MEDIA_NOT_FOUND"]);
    assert.deepEqual(await problemOf("../../etc"), [404, "NOT_FOUND"]);
    const other = await openLine(world, owner);
    assert.deepEqual(await problemOf(await picture(line), other), [404, "MEDIA_NOT_FOUND"]);
  });
});

test("a store that is away is 503, and nothing is queued", async () => {
  const line = await openLine(world, owner);
  const { intake } = world.deps;
  const broken = world.deps.media;
  const put = broken.put.bind(broken);
  const { MediaStoreError } = await import("@manyline/media");
  broken.put = () => Promise.reject(new MediaStoreError("away"));
  try {
    const answer = await send(line, { to, type: "image", url: `${site}/photo.png` });
    assertProblem(answer, 503, "UNAVAILABLE");
    await assert.rejects(
      intake.upload(1, [PNG], { contentType: undefined, fileName: null }),
      (error) => error instanceof ManylineError && error.code === "UNAVAILABLE",
    );
  } finally {
    broken.put = put;
  }
  assert.deepEqual(await owner.claim(line.numberNo), []);
});
