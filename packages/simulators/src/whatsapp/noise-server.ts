import { Curve, decodeBinaryNode, encodeBinaryNode, proto } from "@whiskeysockets/baileys";
import type { ServerIdentity } from "./certificate.ts";
import { gcmDecrypt, gcmEncrypt, hkdf, sha256 } from "./crypto.ts";
import { frame, FrameReader, INTRO } from "./frames.ts";
import type { Stanza } from "./stanza.ts";

const PROTOCOL_NAME = Buffer.from("Noise_XX_25519_AESGCM_SHA256\0\0\0\0"); // 32 bytes: used unhashed

/** Calls arrive in wire order. `onStanza` is not awaited: a handler that waits never holds up the next stanza. */
export type NoiseCallbacks = {
  write(data: Buffer): void;
  onPayload(payload: proto.ClientPayload, clientStaticKey: Buffer): void;
  onStanza(stanza: Stanza): void;
  onError(error: Error): void;
};

/** Server side of one connection: Noise XX handshake, then encrypted stanzas in both directions. */
export class NoiseServerStream {
  readonly #identity: ServerIdentity;
  readonly #callbacks: NoiseCallbacks;
  readonly #reader = new FrameReader();
  #stage: Handshake | Transport | undefined;
  #chain: Promise<void> = Promise.resolve();

  constructor(identity: ServerIdentity, callbacks: NoiseCallbacks) {
    this.#identity = identity;
    this.#callbacks = callbacks;
  }

  get routingInfo(): Buffer | undefined {
    return this.#reader.routingInfo;
  }

  /** Takes bytes as they come from the socket. @throws on a wrong intro */
  receive(data: Buffer): void {
    for (const item of this.#reader.push(data)) {
      // decoding is asynchronous (a stanza may be deflated); the chain keeps the order
      this.#chain = this.#chain
        .then(() => this.#frame(item))
        .catch((error) => this.#callbacks.onError(error));
    }
  }

  send(stanza: Stanza): void {
    if (!(this.#stage instanceof Transport))
      throw new Error("stanza before the end of the handshake");
    this.#callbacks.write(frame(this.#stage.seal(encodeBinaryNode(stanza))));
  }

  async #frame(data: Buffer): Promise<void> {
    if (this.#stage instanceof Transport) {
      this.#callbacks.onStanza(await decodeBinaryNode(this.#stage.open(data)));
      return;
    }
    const message = proto.HandshakeMessage.decode(data);
    if (this.#stage === undefined) {
      this.#stage = new Handshake(this.#identity);
      this.#callbacks.write(frame(this.#stage.answer(required(message.clientHello?.ephemeral))));
      return;
    }
    const finish = message.clientFinish;
    const done = this.#stage.finish(required(finish?.static), required(finish?.payload));
    this.#stage = done.transport;
    this.#callbacks.onPayload(proto.ClientPayload.decode(done.payload), done.clientStatic);
  }
}

/** Symmetric state of the handshake. One counter serves both directions until the keys are split. */
class Handshake {
  readonly #identity: ServerIdentity;
  readonly #ephemeral = Curve.generateKeyPair();
  #hash: Buffer = PROTOCOL_NAME;
  #salt: Buffer = PROTOCOL_NAME;
  #key: Buffer = PROTOCOL_NAME;
  #counter = 0;

  constructor(identity: ServerIdentity) {
    this.#identity = identity;
    this.#mixHash(INTRO);
  }

  answer(clientEphemeral: Uint8Array): Uint8Array {
    this.#mixHash(clientEphemeral);
    this.#mixHash(this.#ephemeral.public);
    this.#mixKey(Curve.sharedKey(this.#ephemeral.private, clientEphemeral));
    const encryptedStatic = this.#seal(this.#identity.staticKey.public);
    this.#mixKey(Curve.sharedKey(this.#identity.staticKey.private, clientEphemeral));
    const payload = this.#seal(this.#identity.certificate);
    const serverHello = { ephemeral: this.#ephemeral.public, static: encryptedStatic, payload };
    return proto.HandshakeMessage.encode({ serverHello }).finish();
  }

  finish(encryptedStatic: Uint8Array, encryptedPayload: Uint8Array) {
    const clientStatic = this.#open(encryptedStatic);
    this.#mixKey(Curve.sharedKey(this.#ephemeral.private, clientStatic));
    const payload = this.#open(encryptedPayload);
    const keys = hkdf(Buffer.alloc(0), 64, this.#salt);
    return {
      clientStatic,
      payload,
      transport: new Transport(keys.subarray(0, 32), keys.subarray(32)),
    };
  }

  #mixHash(data: Uint8Array): void {
    this.#hash = sha256(Buffer.concat([this.#hash, data]));
  }

  #mixKey(secret: Uint8Array): void {
    const out = hkdf(secret, 64, this.#salt);
    this.#salt = out.subarray(0, 32);
    this.#key = out.subarray(32);
    this.#counter = 0;
  }

  #seal(plain: Uint8Array): Buffer {
    const out = gcmEncrypt(this.#key, counterIv(this.#counter++), plain, this.#hash);
    this.#mixHash(out);
    return out;
  }

  #open(data: Uint8Array): Buffer {
    const out = gcmDecrypt(this.#key, counterIv(this.#counter++), data, this.#hash);
    this.#mixHash(data);
    return out;
  }
}

/** After the handshake: one key and one counter per direction, no additional data. */
class Transport {
  readonly #fromClient: Buffer;
  readonly #toClient: Buffer;
  #received = 0;
  #sent = 0;

  constructor(fromClient: Buffer, toClient: Buffer) {
    this.#fromClient = fromClient;
    this.#toClient = toClient;
  }

  seal(plain: Uint8Array): Buffer {
    return gcmEncrypt(this.#toClient, counterIv(this.#sent++), plain);
  }

  open(data: Uint8Array): Buffer {
    return gcmDecrypt(this.#fromClient, counterIv(this.#received++), data);
  }
}

function counterIv(counter: number): Buffer {
  const iv = Buffer.alloc(12);
  iv.writeUInt32BE(counter, 8);
  return iv;
}

function required(value: Uint8Array | null | undefined): Uint8Array {
  if (!value?.length) throw new Error("handshake message lacks a field");
  return value;
}
