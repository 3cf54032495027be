/**
 * Linking a new device: our own QR, our own companion_hello, and everything WhatsApp may say meanwhile.
 * Facts and their sources: docs/limits.md, "Linking".
 */
import { createHmac, randomBytes } from "node:crypto";
import { parsePhone } from "@manyline/contracts";
import {
  buildPairingQRData,
  initAuthCreds,
  jidDecode,
  proto,
  type BinaryNode,
  type WASocket,
} from "@whiskeysockets/baileys";
import type { ConnectionEnd, LinkConnection, LinkHandlers } from "../provider.ts";
import { child, sendCompanionHello } from "./companion-hello.ts";
import { isPaired, memoryKeys, packCreds } from "./credentials.ts";
import type { SharedCaches } from "./shared-caches.ts";
import { openSocket, type SocketFigures } from "./socket.ts";

/** A passkey request without its own figure; the challenges seen live ten minutes. */
const PASSKEY_MS = 600_000;
const HELLO_MS = 10_000;

export function openLink(
  numberId: string,
  figures: SocketFigures,
  caches: SharedCaches,
  handlers: LinkHandlers,
): LinkConnection {
  const creds = initAuthCreds();
  let refs: string[] = [];
  let shown: string | undefined;
  let isLinked = false;
  let codeRef: Buffer | undefined;
  /** Secrets we drew for QRs; any other value was derived from a code by the library. */
  const drawn = new Set([creds.advSecretKey]);
  const derived: string[] = [];

  const managed = openSocket({ creds, keys: memoryKeys() }, numberId, figures, caches, {
    onUpdate: () => undefined,
    onEnd: (end: ConnectionEnd) => handlers.onClosed(end),
  });
  const { sock, gate } = managed;

  const draw = (): string | undefined =>
    shown === undefined
      ? undefined
      : buildPairingQRData(
          shown,
          Buffer.from(creds.noiseKey.public).toString("base64"),
          Buffer.from(creds.signedIdentityKey.public).toString("base64"),
          creds.advSecretKey,
          [figures.deviceName, "Chrome", "14.4.1"],
        );

  sock.ws.prependListener("CB:iq,type:set,pair-device", (node: BinaryNode) => {
    refs = refsOf(node);
    handlers.onReady();
  });

  sock.ws.prependListener("CB:notification,type:companion_reg_refresh", (node: BinaryNode) => {
    if (isLinked || !(child(node, "companion_reg_refresh") ?? child(node, "pair-device-rotate-qr")))
      return;
    if (!drawn.has(creds.advSecretKey)) derived.push(creds.advSecretKey);
    creds.advSecretKey = randomBytes(32).toString("base64");
    drawn.add(creds.advSecretKey);
    // The new QR is stored before the acknowledgement, so that nobody is shown the retired one after it.
    handlers
      .onRotated()
      .then(() => acknowledge(sock, node))
      .catch(managed.fail);
  });

  sock.ws.prependListener("CB:notification,type:link_code_companion_reg", (node: BinaryNode) => {
    const body = child(node, "link_code_companion_reg");
    const ref = child(body, "link_code_pairing_ref")?.content;
    if (!codeRef || !(ref instanceof Uint8Array) || !codeRef.equals(ref)) return;
    if (body?.attrs["stage"] === "primary_hello") handlers.onPhoneAnswered();
    if (body?.attrs["stage"] === "refresh_code") handlers.onCodeRetired();
  });

  sock.ws.prependListener("CB:notification,type:passkey_prologue_request", (node: BinaryNode) => {
    if (isLinked) return;
    void (async () => {
      await acknowledge(sock, node);
      const options = passkeyOptions(node) ?? passkeyOptions(await askPasskeyOptions(sock)) ?? {};
      const timeout = "timeout" in options ? Number(options.timeout) : Number.NaN;
      handlers.onPasskey({ options, expiresInMs: timeout > 0 ? timeout : PASSKEY_MS });
    })().catch(managed.fail);
  });

  sock.ws.prependListener("CB:iq,,pair-success", (node: BinaryNode) => {
    gate.hold();
    creds.advSecretKey = secretOf(node, [creds.advSecretKey, ...derived]) ?? creds.advSecretKey;
  });

  sock.ev.on("creds.update", (update) => {
    if (isLinked || update.account === undefined || !isPaired(creds)) return;
    const phone = parsePhone(`+${jidDecode(creds.me?.id)?.user ?? ""}`);
    if (phone === undefined) {
      managed.fail(new Error("the linked device has no phone number"));
      return;
    }
    isLinked = true;
    handlers
      .onPaired({ phone, credentials: packCreds(creds) })
      .then(() => gate.release())
      .catch(managed.fail);
  });

  return {
    nextQr: () => {
      shown = refs.shift();
      return draw();
    },
    redraw: draw,
    requestCode: async (phone) => {
      const answer = await sendCompanionHello(
        phone,
        creds.noiseKey.public,
        (node, timeoutMs) => sock.query(node, timeoutMs) as Promise<BinaryNode | undefined>,
        HELLO_MS,
      );
      if ("refused" in answer) return answer;
      codeRef = answer.ref;
      // Read by the library when the phone answers. In memory only: stored, they would make it log in.
      Object.assign(creds, {
        pairingEphemeralKeyPair: answer.ephemeral,
        pairingCode: answer.code,
        me: { id: answer.jid, name: "~" },
      });
      return { code: answer.code };
    },
    close: managed.close,
  };
}

function refsOf(node: BinaryNode): string[] {
  const content = child(node, "pair-device")?.content;
  return (Array.isArray(content) ? content : [])
    .filter((one) => one.tag === "ref" && one.content instanceof Uint8Array)
    .map((one) => Buffer.from(one.content as Uint8Array).toString());
}

/** The library acknowledges notifications only once `me` is known; until then it is up to us, exactly once. */
async function acknowledge(sock: WASocket, node: BinaryNode): Promise<void> {
  if (sock.authState.creds.me) return;
  const { id, from, type } = node.attrs;
  await sock.sendNode({
    tag: "ack",
    attrs: { id: id ?? "", to: from ?? "", class: "notification", type: type ?? "" },
  });
}

function passkeyOptions(node: BinaryNode | undefined): object | undefined {
  const content = child(node, "passkey_request_options")?.content;
  if (content === undefined || Array.isArray(content)) return undefined;
  const options: unknown = JSON.parse(Buffer.from(content).toString());
  return typeof options === "object" && options !== null ? options : undefined;
}

async function askPasskeyOptions(sock: WASocket): Promise<BinaryNode> {
  return (await sock.query({
    tag: "iq",
    attrs: { to: "@s.whatsapp.net", type: "get", xmlns: "md" },
    content: [{ tag: "passkey_request_options", attrs: {} }],
  })) as BinaryNode;
}

/** Which of the secrets this pair-success was made with. QR secrets that were retired are not among them. */
function secretOf(node: BinaryNode, candidates: string[]): string | undefined {
  const content = child(child(node, "pair-success"), "device-identity")?.content;
  if (!(content instanceof Uint8Array)) return undefined;
  const { details, hmac } = proto.ADVSignedDeviceIdentityHMAC.decode(content);
  if (!details || !hmac) return undefined;
  return candidates.find((secret) =>
    createHmac("sha256", Buffer.from(secret, "base64")).update(details).digest().equals(hmac),
  );
}
