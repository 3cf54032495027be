/** Reads the body of `POST …/messages`. */
import { SEND_KINDS, SEND_KIND_NAMES } from "@manyline/contracts";
import type { SendKind, SendMessage } from "@manyline/contracts";
import { Compile } from "typebox/compile";
import { invalidRequest } from "../problem.ts";
import { checkWith } from "../validation.ts";

/** By its own kind's schema: of a union one would be told what each of its fifteen branches misses. */
const checks = new Map(
  SEND_KIND_NAMES.map((kind) => [kind as string, checkWith(Compile(SEND_KINDS[kind]), "body")]),
);

/** Throws INVALID_REQUEST that names every field that is wrong. */
export function sendBody(body: unknown): SendMessage {
  const type = typeof body === "object" && body !== null && "type" in body ? body.type : undefined;
  const check = typeof type === "string" ? checks.get(type) : undefined;
  if (!check) {
    const message =
      type === undefined ? "is required" : `must be one of ${SEND_KIND_NAMES.join(", ")}`;
    throw invalidRequest({ field: "type", message });
  }
  const error = check(body);
  if (error) throw error;
  const send = body as SendMessage;
  checkFile(send);
  if (send.type === "poll") checkPoll(send.poll);
  if (send.type === "reaction" && send.emoji !== null && !ONE_EMOJI.test(send.emoji)) {
    throw invalidRequest({ field: "emoji", message: "must be one emoji, or null" });
  }
  return send;
}

/** What Unicode recommends for interchange, or a pictograph that leaves its look open (a bare heart). */
const ONE_EMOJI = /^(?:\p{RGI_Emoji}|\p{Extended_Pictographic})$/v;

function checkPoll({
  options,
  selectable = 1,
}: Extract<SendMessage, { type: "poll" }>["poll"]): void {
  if (selectable > options.length) {
    throw invalidRequest({
      field: "poll.selectable",
      message: "must not be more than the options",
    });
  }
  // A vote names its options by their text.
  if (new Set(options).size < options.length) {
    throw invalidRequest({ field: "poll.options", message: "must differ from each other" });
  }
}

/** No schema of ours says "exactly one of two". */
function checkFile(send: SendMessage): void {
  if (!isFile(send)) return;
  const { mediaId, url, mimeType } = send;
  if ((mediaId === undefined) === (url === undefined)) {
    throw invalidRequest({
      field: "mediaId",
      message: "exactly one of mediaId and url is required",
    });
  }
  if (mediaId !== undefined && mimeType !== undefined) {
    throw invalidRequest({ field: "mimeType", message: "is only for a url" });
  }
}

export type FileMessage = Extract<SendMessage, { mediaId?: string; url?: string }>;
export type SignalMessage = Extract<SendMessage, { type: "read" | "typing" }>;
export type ChangeMessage = Extract<SendMessage, { type: "reaction" | "edit" | "delete" }>;

const FILES: ReadonlySet<SendKind> = new Set([
  "image",
  "video",
  "voice",
  "audio",
  "document",
  "sticker",
]);

export function isFile(send: SendMessage): send is FileMessage {
  return FILES.has(send.type);
}
export function isSignal(send: SendMessage): send is SignalMessage {
  return send.type === "read" || send.type === "typing";
}
export function isChange(send: SendMessage): send is ChangeMessage {
  return send.type === "reaction" || send.type === "edit" || send.type === "delete";
}
