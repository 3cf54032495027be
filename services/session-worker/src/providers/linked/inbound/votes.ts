/**
 * Votes on polls. A vote is encrypted with the poll's secret, and names the chosen options by their hashes.
 * Secrets of other people's polls are kept with the keys of the number; our own can be made again.
 */
import { createHash } from "node:crypto";
import type { Fence } from "@manyline/db";
import { decryptPollVote, jidNormalizedUser } from "@whiskeysockets/baileys";
import type { AuthStore } from "../auth-store.ts";
import { unpackCreds } from "../credentials.ts";
import { isKeyName } from "../key-store.ts";
import { ownPollSecret } from "../poll-secret.ts";
import type { StanzaPart } from "../stanzas.ts";
import type { EncryptedVote } from "./kinds.ts";

const KIND = "poll-secret";
/** Where the other one's addresses stand: who wrote, or (of what our own phone wrote) who it was written to. */
const OTHERS = [
  "participant",
  "from",
  "sender_pn",
  "sender_lid",
  "participant_pn",
  "participant_lid",
  "recipient",
  "peer_recipient_pn",
  "peer_recipient_lid",
  "recipient_pn",
  "recipient_lid",
];

/** Keeps the secret of a poll that somebody else made. */
export async function keepPollSecret(
  store: AuthStore,
  fence: Fence,
  providerMessageId: string,
  secret: Buffer,
): Promise<void> {
  // Nobody but its sender loses anything: the message itself is told.
  if (!isKeyName(providerMessageId)) return;
  await store.write(fence, { keys: [{ kind: KIND, key: providerMessageId, value: secret }] });
}

/** What was chosen; null: it cannot be read, as the poll or its secret is not known. */
export async function readVote(
  store: AuthStore,
  fence: Fence,
  vote: EncryptedVote,
  { attrs, isOwn }: StanzaPart,
): Promise<string[] | null> {
  const { pollId } = vote;
  if (!isKeyName(pollId)) return null;
  const options = await store.pollOptions(fence, pollId);
  if (!options) return null;
  const creds = await store.creds(fence);
  const { me, signedIdentityKey } = creds ? unpackCreds(creds) : {};
  const kept = (await store.read(fence, KIND, [pollId])).get(pollId);
  // Somebody else may have made a poll of the same id, to spoil ours: whichever secret opens the vote is its own.
  const own = signedIdentityKey && ownPollSecret(signedIdentityKey.private, pollId);
  const ours = addresses([me?.id, me?.lid]);
  const theirs = addresses(OTHERS.map((name) => attrs[name]));
  // In a group it may be somebody else's: neither ours nor the voter's.
  const creators = addresses([vote.creator ?? undefined, ...ours, ...theirs]);
  const voters = isOwn ? ours : theirs;
  const opened = [kept, own].map((secret) => secret && openVote(vote, secret, creators, voters));
  const hashes = opened.find(Boolean);
  if (!hashes) return null;
  return options.filter((option) => hashes.has(hashOf(option)));
}

/** Votes are bound to who made the poll and who votes, in whichever of their addresses the voter's phone uses. */
export function openVote(
  { pollId, payload, iv }: EncryptedVote,
  secret: Uint8Array,
  creators: readonly string[],
  voters: readonly string[],
): Set<string> | null {
  for (const pollCreatorJid of creators) {
    for (const voterJid of voters) {
      try {
        const { selectedOptions } = decryptPollVote(
          { encPayload: payload, encIv: iv },
          { pollCreatorJid, pollMsgId: pollId, pollEncKey: secret, voterJid },
        );
        return new Set(selectedOptions.map((hash) => Buffer.from(hash).toString("hex")));
      } catch {
        // Not these two.
      }
    }
  }
  return null;
}

function addresses(jids: readonly (string | undefined)[]): string[] {
  return [...new Set(jids.flatMap((jid) => (jid ? [jidNormalizedUser(jid)] : [])))];
}

function hashOf(option: string): string {
  return createHash("sha256").update(option).digest("hex");
}
