import { randomBytes } from "node:crypto";
import { proto } from "@whiskeysockets/baileys";
import { gcmEncrypt, hmacSha256, sha256 } from "../crypto.ts";

/** With it votes on a poll are encrypted; whoever sees the poll has it. */
export const POLL_SECRET_BYTES = 32;

const POLLS = [
  "pollCreationMessage",
  "pollCreationMessageV2",
  "pollCreationMessageV3",
  "pollCreationMessageV5",
] as const satisfies (keyof proto.IMessage)[];

export function pollIn(message: proto.IMessage): proto.Message.IPollCreationMessage | undefined {
  for (const name of POLLS) if (message[name]) return message[name];
  return undefined;
}

export function newPollSecret(): Buffer {
  return randomBytes(POLL_SECRET_BYTES);
}

/** A choice among a poll's options, as only those who see the poll can read it. */
export type Vote = {
  pollId: string;
  secret: Uint8Array;
  /** addresses of who made the poll and who votes, as the voter's phone writes them */
  creator: string;
  voter: string;
  /** the names of what is chosen; none: the vote is taken back */
  options: readonly string[];
};

export function sealVote({
  pollId,
  secret,
  creator,
  voter,
  options,
}: Vote): proto.Message.IPollEncValue {
  const selectedOptions = options.map((option) => sha256(Buffer.from(option)));
  const plain = proto.Message.PollVoteMessage.encode({ selectedOptions }).finish();
  const use = Buffer.from(`${pollId}${creator}${voter}Poll Vote\u0001`);
  const key = hmacSha256(hmacSha256(Buffer.alloc(32), secret), use);
  const encIv = randomBytes(12);
  const encPayload = gcmEncrypt(key, encIv, plain, Buffer.from(`${pollId}\0${voter}`));
  return { encPayload, encIv };
}
