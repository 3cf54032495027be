import { createHash } from "node:crypto";

export const PN_SERVER = "s.whatsapp.net";
export const LID_SERVER = "lid";
export const GROUP_SERVER = "g.us";

export type Jid = { user: string; device: number; server: string };

/** `4917:5@s.whatsapp.net` → user 4917, device 5. A jid without a device part means device 0, the phone. */
export function parseJid(jid: string): Jid {
  const at = jid.indexOf("@");
  const [user = "", device] = (at < 0 ? jid : jid.slice(0, at)).split(":");
  return { user, device: device === undefined ? 0 : Number(device), server: jid.slice(at + 1) };
}

export function pnJid(phone: string, device = 0): string {
  return makeJid(phone, PN_SERVER, device);
}

export function lidJid(lid: string, device = 0): string {
  return makeJid(lid, LID_SERVER, device);
}

function makeJid(user: string, server: string, device: number): string {
  return device === 0 ? `${user}@${server}` : `${user}:${device}@${server}`;
}

/** Every phone number has one stable 15-digit LID: Baileys cannot encrypt for a number without one. */
export function lidOf(phone: string): string {
  const hash = createHash("sha256").update(`manyline-lid:${phone}`).digest();
  return `1${String(hash.readBigUInt64BE() % 10n ** 14n).padStart(14, "0")}`;
}

/** International digits without `+`, as WhatsApp writes a number: 7 to 15, no leading zero. */
export function isMsisdn(value: string): boolean {
  return /^[1-9]\d{6,14}$/.test(value);
}
