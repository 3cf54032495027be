import { createHmac, randomBytes } from "node:crypto";
import {
  aesEncryptCTR,
  buildPairingQRData,
  bytesToCrockford,
  Curve,
  derivePairingCodeKey,
  jidEncode,
  proto,
} from "@whiskeysockets/baileys";
import type { BinaryNode } from "@whiskeysockets/baileys";
import { bytes, el, kid, kids } from "../src/whatsapp/stanza.ts";
import { Client, MemoryAuth } from "./client.ts";

const MINUTES = 60_000;
const BROWSER: [string, string, string] = ["Acme", "Chrome", "14.4.1"];
const REFRESH = "companion_reg_refresh";

type Manners = {
  /** keep the secrets that were derived from codes, and pick the right one at pair-success */
  keepsDerivedSecrets?: boolean;
  acknowledges?: boolean;
  rotates?: boolean;
};

/**
 * What a service has to do around the unmodified rc14 to link with a server of 2026: draw the QR itself, rotate
 * the secret when told to, acknowledge, and ask for codes with a request that has an answer.
 */
export class OutsideClient extends Client {
  refs: string[] = [];
  rotations = 0;
  notifications: BinaryNode[] = [];
  readonly #ours: Set<string>;
  readonly #derived: string[] = [];

  constructor(url: string, manners: Manners = {}) {
    super(url, new MemoryAuth(), { qrTimeout: 15 * MINUTES, browser: BROWSER });
    const { keepsDerivedSecrets = true, acknowledges = true, rotates = true } = manners;
    const { creds } = this.auth;
    this.#ours = new Set([creds.advSecretKey]);
    const { ws } = this.sock;
    ws.prependListener("CB:iq,type:set,pair-device", (iq: BinaryNode) => {
      this.refs = kids(kid(iq, "pair-device"), "ref").map((ref) => String(bytes(ref)));
    });
    ws.prependListener("CB:notification", (node: BinaryNode) => this.notifications.push(node));
    ws.prependListener(`CB:notification,type:${REFRESH}`, (node: BinaryNode) => {
      if (!kid(node, REFRESH) && !kid(node, "pair-device-rotate-qr")) return;
      if (rotates) this.#rotate();
      if (acknowledges && !creds.me) this.#acknowledge(node);
    });
    ws.prependListener("CB:iq,,pair-success", (iq: BinaryNode) => {
      if (keepsDerivedSecrets) this.#chooseSecret(iq);
    });
  }

  /** the text for the n-th ref with the secret of now */
  draw(index = 0): string {
    const { creds } = this.auth;
    return buildPairingQRData(
      this.refs[index] ?? "",
      Buffer.from(creds.noiseKey.public).toString("base64"),
      Buffer.from(creds.signedIdentityKey.public).toString("base64"),
      creds.advSecretKey,
      BROWSER,
    );
  }

  /**
   * Own `companion_hello`.
   * @returns the code, once the server has accepted it
   * @throws the client library's error with the server's code in `data`
   */
  async requestCode(number: string, display = "Chrome (Windows)", ms = 3000): Promise<string> {
    const { creds } = this.auth;
    const pair = Curve.generateKeyPair();
    const code = bytesToCrockford(randomBytes(5));
    const [salt, iv] = [randomBytes(32), randomBytes(16)];
    const key = await derivePairingCodeKey(code, salt);
    const wrapped = Buffer.concat([salt, iv, aesEncryptCTR(pair.public, key, iv)]);
    const jid = jidEncode(number, "s.whatsapp.net");
    const attrs = { jid, stage: "companion_hello", should_show_push_notification: "true" };
    const hello = el("link_code_companion_reg", attrs, [
      el("link_code_pairing_wrapped_companion_ephemeral_pub", {}, wrapped),
      el("companion_server_auth_key_pub", {}, creds.noiseKey.public),
      el("companion_platform_id", {}, "1"),
      el("companion_platform_display", {}, display),
      el("link_code_pairing_nonce", {}, Buffer.from([0])),
    ]);
    const iq = el("iq", { to: "@s.whatsapp.net", type: "set", xmlns: "md" }, [hello]);
    const reply = (await this.sock.query(iq, ms)) as BinaryNode | undefined;
    const ref = bytes(kid(kid(reply, "link_code_companion_reg"), "link_code_pairing_ref"));
    if (!ref) throw new Error("no ref");
    Object.assign(creds, { pairingEphemeralKeyPair: pair, pairingCode: code });
    creds.me = { id: jid, name: "~" };
    return code;
  }

  #rotate(): void {
    const { creds } = this.auth;
    if (!this.#ours.has(creds.advSecretKey)) this.#derived.push(creds.advSecretKey);
    creds.advSecretKey = randomBytes(32).toString("base64");
    this.#ours.add(creds.advSecretKey);
    this.rotations++;
  }

  #acknowledge(node: BinaryNode): void {
    const { id = "", from = "" } = node.attrs;
    void this.sock.sendNode(el("ack", { id, to: from, class: "notification", type: REFRESH }));
  }

  #chooseSecret(iq: BinaryNode): void {
    const { creds } = this.auth;
    const sealed = bytes(kid(kid(iq, "pair-success"), "device-identity")) ?? Buffer.alloc(0);
    const { details, hmac } = proto.ADVSignedDeviceIdentityHMAC.decode(sealed);
    const made = [creds.advSecretKey, ...this.#derived].find((secret) =>
      createHmac("sha256", Buffer.from(secret, "base64"))
        .update(details ?? new Uint8Array())
        .digest()
        .equals(Buffer.from(hmac ?? [])),
    );
    creds.advSecretKey = made ?? creds.advSecretKey;
  }
}
