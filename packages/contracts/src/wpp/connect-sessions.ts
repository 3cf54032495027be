/** What WPPConnect tells of a session's life. */
import { type Json, textOf } from "../meta/json.ts";
import { addressOf } from "./address.ts";
import { type Read, silent } from "./connect-parts.ts";
import { readWppQr } from "./kinds.ts";
import type { WppSessionInput } from "./types.ts";

type SessionPart = WppSessionInput extends infer Part
  ? Part extends WppSessionInput
    ? Omit<Part, "kind" | "at">
    : never
  : never;

function sessionPiece(
  part: SessionPart,
  type: string,
  now: Date,
  text: string | null = null,
): Read {
  return {
    facts: { event: `session.${part.event}`, messageId: null, from: null, type, text },
    input: { kind: "session", at: now, ...part },
  };
}

export function lost(reason: "disconnected" | "logged_out", now: Date): Read {
  return sessionPiece({ event: "disconnected", reason }, reason, now);
}

/** The text is better than the picture: it can be drawn in any size. */
export function readQr(body: Json, now: Date): Read {
  const qr = readWppQr(body["urlcode"]) ?? readWppQr(body["qrcode"]);
  return sessionPiece({ event: "qr", qr }, "qr", now);
}

export function readCode(body: Json, now: Date): Read {
  const code = textOf(body["phoneCode"]);
  if (code === null) return silent("pairing_code");
  const phone = addressOf(body["phone"]);
  return sessionPiece(
    { event: "pairing_code", code, phone: phone.kind === "phone" ? phone.digits : null },
    "pairing_code",
    now,
    code,
  );
}

export function readStatusFind(body: Json, now: Date): Read {
  const status = textOf(body["status"]) ?? "";
  switch (status.toLowerCase()) {
    case "inchat":
    case "islogged":
      return sessionPiece({ event: "connected" }, "connected", now);
    case "qrreadsuccess":
      return sessionPiece({ event: "connecting", step: "scanned" }, "scanned", now);
    case "notlogged":
      return sessionPiece({ event: "connecting", step: "awaiting_scan" }, "awaiting_scan", now);
    case "disconnectedmobile":
    case "desconnectedmobile":
      return lost("logged_out", now);
    case "autoclosecalled":
    case "browserclose":
    case "serverclose":
      return lost("disconnected", now);
    case "qrreadfail":
    case "qrreaderror":
      return sessionPiece({ event: "error", code: "qr_failed" }, "qr_failed", now);
    case "phonenotconnected":
      return sessionPiece(
        { event: "error", code: "phone_not_connected" },
        "phone_not_connected",
        now,
      );
    default:
      return silent(status === "" ? "status-find" : status);
  }
}
