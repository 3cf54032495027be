import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Curve,
  encodeBinaryNode,
  makeNoiseHandler,
  NOISE_WA_HEADER,
  proto,
} from "@whiskeysockets/baileys";
import type { UserFacingSocketConfig } from "@whiskeysockets/baileys";
import { createServerIdentity } from "./certificate.ts";
import { NoiseServerStream } from "./noise-server.ts";
import { el } from "./stanza.ts";
import type { Stanza } from "./stanza.ts";

const ignore = () => undefined;
const logger: NonNullable<UserFacingSocketConfig["logger"]> = {
  level: "silent",
  child: () => logger,
  trace: ignore,
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
};
const identity = createServerIdentity();

/** The handshake with the client library's own Noise code, over a pipe that cuts the bytes as told. */
async function connect(cut: (data: Buffer) => Buffer[]) {
  const stanzas: Stanza[] = [];
  const toClient: Buffer[] = [];
  const payload = Promise.withResolvers<{ payload: proto.ClientPayload; key: Buffer }>();
  const received = Promise.withResolvers<void>();
  const server = new NoiseServerStream(identity, {
    write: (data) => toClient.push(data),
    onPayload: (value, key) => payload.resolve({ payload: value, key }),
    onStanza: (stanza) => {
      stanzas.push(stanza);
      if (stanza.tag === "last") received.resolve();
    },
    onError: (error) => {
      payload.reject(error);
      received.reject(error);
    },
  });
  const keyPair = Curve.generateKeyPair();
  const noiseKey = Curve.generateKeyPair();
  const noise = makeNoiseHandler({ keyPair, NOISE_HEADER: NOISE_WA_HEADER, logger });
  const write = (data: Uint8Array) => {
    for (const part of cut(noise.encodeFrame(data))) server.receive(part);
  };
  write(proto.HandshakeMessage.encode({ clientHello: { ephemeral: keyPair.public } }).finish());
  while (toClient.length === 0) await Promise.resolve();
  const hello = proto.HandshakeMessage.decode(toClient.shift()?.subarray(3) ?? Buffer.alloc(0));
  const finish = {
    static: noise.processHandshake(hello, noiseKey),
    payload: noise.encrypt(proto.ClientPayload.encode({ passive: true, device: 7 }).finish()),
  };
  write(proto.HandshakeMessage.encode({ clientFinish: finish }).finish());
  await noise.finishInit();
  const result = await payload.promise;
  return { server, noise, noiseKey, toClient, stanzas, received: received.promise, result };
}

const whole = (data: Buffer) => [data];
const bytewise = (data: Buffer) => [...data].map((byte) => Buffer.from([byte]));

for (const [name, cut] of Object.entries({ whole, bytewise })) {
  test(`the real client's handshake passes, frames ${name}`, async () => {
    const { noiseKey, result } = await connect(cut);
    assert.equal(result.payload.device, 7);
    assert.deepEqual(result.key, Buffer.from(noiseKey.public));
  });
}

test("joined stanzas keep their order, and the answers decrypt", async () => {
  const { server, noise, toClient, stanzas, received } = await connect(whole);
  const sent = ["first", "second", "last"].map((tag) =>
    noise.encodeFrame(encodeBinaryNode(el(tag, { id: "1" }))),
  );
  server.receive(Buffer.concat(sent));
  await received;
  assert.deepEqual(
    stanzas.map((stanza) => stanza.tag),
    ["first", "second", "last"],
  );
  server.send(el("iq", { type: "result", id: "1" }));
  server.send(el("ib", {}, [el("offline", { count: "0" })]));
  const decoded: unknown[] = [];
  await noise.decodeFrame(Buffer.concat(toClient), (item) => decoded.push(item));
  assert.deepEqual(
    decoded.map((item) => (item as Stanza).tag),
    ["iq", "ib"],
  );
});

test("a changed byte ends in an error", async () => {
  const { server, noise, received } = await connect(whole);
  const bytes = noise.encodeFrame(encodeBinaryNode(el("last")));
  bytes.writeUInt8(bytes.readUInt8(5) ^ 1, 5);
  server.receive(bytes);
  await assert.rejects(received);
});

test("a stanza before the end of the handshake is a mistake of ours", () => {
  const callbacks = { write: ignore, onPayload: ignore, onStanza: ignore, onError: ignore };
  const server = new NoiseServerStream(identity, callbacks);
  assert.throws(() => server.send(el("iq")), /before the end/);
});
