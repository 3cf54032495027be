/** The REST client against a real gateway, and against one that fails in between. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { Server } from "node:http";
import { after, before, describe, test } from "node:test";
import { Owner, openLine, openWorld, stranger, textFrom } from "@manyline/gateway/testing";
import type { Line, World } from "@manyline/gateway/testing";
import { ManylineApiError, ManylineClient, ManylineUnreachable } from "../src/index.ts";

let world: World;
let owner: Owner;
let line: Line;
let manyline: ManylineClient;
before(async () => {
  world = await openWorld();
  owner = await new Owner(world).start();
  line = await openLine(world, owner);
  manyline = new ManylineClient(accessOf(world.url));
});
after(async () => {
  await owner.stop();
  await world[Symbol.asyncDispose]();
});
const accessOf = (url: string) => ({
  url: `${url}/`,
  companyId: line.company.id,
  token: line.company.token,
});
const isApiError = (code: string, status: number) => (error: unknown) =>
  error instanceof ManylineApiError && error.code === code && error.status === status;
async function listed<T>(items: AsyncGenerator<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

test("sending, reading, people, files, checks", async () => {
  const anna = stranger("Anna");
  const texts = Array.from({ length: 7 }, (_, index) => `number ${index}`);
  await owner.receive(line.numberNo, ...texts.map((text) => textFrom(anna, { text })));
  const [contact] = await listed(manyline.allContacts({ search: "Anna" }));
  assert.equal(contact?.phone, anna.phone);
  const history = await listed(manyline.allMessages({ contact: contact?.id ?? "" }));
  assert.deepEqual(
    history.map(({ text }) => text),
    texts.toReversed(),
  );
  const page = await manyline.messages({ limit: 3 });
  const next = await manyline.messages({ limit: 3, before: page.next ?? "" });
  assert.deepEqual(
    [...page.messages, ...next.messages].map(({ text }) => text),
    texts.toReversed().slice(0, 6),
  );
  const [chat] = await listed(manyline.allChats());
  assert.equal(chat?.contactId, contact?.id);
  assert.equal((await manyline.contact(contact?.id ?? "")).name, "Anna");

  const file = Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), Buffer.alloc(50)]);
  const { mediaId } = await manyline.upload(file, { mimeType: "image/png", fileName: "a.png" });
  const sent = await manyline.send({ type: "image", to: chat?.id ?? "", mediaId, caption: "See" });
  assert.equal((await manyline.message(sent.messageId)).media?.id, mediaId);
  const { mimeType, bytes, stream } = await manyline.download(mediaId);
  assert.deepEqual([mimeType, bytes], ["image/png", file.byteLength]);
  assert.deepEqual(Buffer.from(await new Response(stream).arrayBuffer()), file);

  owner.handler = ({ verb }) => ({
    state: "done",
    result: verb === "check_phones" ? { results: [{ phone: anna.phone, isOnWhatsapp: true }] } : {},
  });
  const [checked] = await manyline.check([anna.phone]);
  assert.equal(checked?.isOnWhatsapp, true);
  await manyline.signal({ type: "typing", to: chat?.id ?? "", state: "typing" });
  assert.equal((await manyline.status()).number?.id, line.numberId);
});

test("refusals have their code and facts", async () => {
  const message = { type: "text", to: "nobody", text: "a" } as const;
  await assert.rejects(manyline.send(message), isApiError("INVALID_RECIPIENT", 422));
  await assert.rejects(manyline.message("msg_1"), isApiError("MESSAGE_NOT_FOUND", 404));
  const to = "+79007654321";
  await manyline.send({ ...message, to }, { key: "one" });
  await assert.rejects(manyline.send({ ...message, to, text: "b" }, { key: "one" }), (error) => {
    assert.ok(error instanceof ManylineApiError);
    assert.match(String(error.facts["messageId"]), /^msg_/);
    assert.match(error.requestId ?? "", /^req_/);
    return error.code === "IDEMPOTENCY_MISMATCH";
  });
  const nobody = new ManylineClient({ ...accessOf(world.url), token: "mly_a_nobody" });
  await assert.rejects(nobody.chats(), isApiError("UNAUTHORIZED", 401));
});

describe("a gateway that fails in between", () => {
  /** Passes requests on, except those that `fail` answers. */
  async function through(
    fail: (count: number) => "cut" | "lost-answer" | number | undefined,
    work: (client: ManylineClient, asked: () => number) => Promise<void>,
  ): Promise<void> {
    let count = 0;
    const server: Server = createServer((request, response) => {
      count += 1;
      const way = fail(count);
      if (way === "cut") response.destroy();
      else if (typeof way === "number") response.writeHead(way, { "retry-after": "0" }).end();
      else {
        void (async () => {
          const { host: _ofProxy, connection: _hop, ...headers } = request.headers;
          const answer = await fetch(`${world.url}${request.url ?? ""}`, {
            method: request.method ?? "GET",
            headers: headers as Record<string, string>,
            body: request.method === "POST" ? Buffer.concat(await request.toArray()) : null,
          });
          const body = Buffer.from(await answer.arrayBuffer());
          if (way === "lost-answer") response.destroy();
          else response.writeHead(answer.status, { "content-type": "application/json" }).end(body);
        })();
      }
    });
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    const address = server.address();
    const port = typeof address === "object" && address ? address.port : 0;
    try {
      const client = new ManylineClient(accessOf(`http://127.0.0.1:${port}`));
      await work(client, () => count);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }

  test("a message whose answer was lost is sent once", async () => {
    const ways = ["lost-answer", "cut", 503] as const;
    await through(
      (count) => ways[count - 1],
      async (client, asked) => {
        const to = stranger().phone;
        const { isRepeated, message } = await client.send({ type: "text", to, text: "once" });
        assert.deepEqual([asked(), isRepeated], [4, true]);
        const all = await listed(manyline.allMessages({ chat: message.chat.id }));
        assert.equal(all.length, 1);
      },
    );
  });

  test("it gives up after five tries, and at once where nothing can help", async () => {
    await through(
      () => "cut",
      async (client, asked) => {
        await assert.rejects(client.chats(), ManylineUnreachable);
        assert.equal(asked(), 5);
      },
    );
    await through(
      () => 404,
      async (client, asked) => {
        await assert.rejects(client.chats(), isApiError("UNKNOWN", 404));
        assert.equal(asked(), 1);
      },
    );
  });
});
