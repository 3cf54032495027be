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
  if (send.type === "poll" && (send.poll.selectable ?? 1) > send.poll.options.length) {
    throw invalidRequest({
      field: "poll.selectable",
      message: "must not be more than the options",
    });
  }
  return send;
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
