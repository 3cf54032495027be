/** What a provider has normalised and wants committed. */
import type {
  CompanyId,
  MediaId,
  MessageContent,
  MessageType,
  NumberId,
  Provider,
} from "@manyline/contracts";
import type { Fence } from "./fence.ts";

/** A person as a stanza names them, as much as it tells. `lid`: digits, without the address's domain. */
export type PersonInput = {
  phone?: string | null | undefined;
  lid?: string | null | undefined;
  userId?: string | null | undefined;
  username?: string | null | undefined;
  name?: string | null | undefined;
};

/** `person`: the other one, also when the number itself wrote. */
export type ChatInput =
  | { type: "direct"; person: PersonInput }
  | { type: "group"; providerChatId: string; name?: string | null | undefined };

/** `source`: what it takes to fetch the file (address, key), in the provider's own notation; stored sealed. */
export type MediaInput = {
  mimeType: string;
  bytes: number | null;
  /** Of the file, base64. */
  sha256: string | null;
  fileName: string | null;
  seconds?: number;
  width?: number;
  height?: number;
  isAnimated?: boolean;
  source: Buffer;
  /** It lies in the store already. */
  stored?: { mediaId: MediaId; location: string } | undefined;
};

type Settles = {
  /** Hashes of the journal entries that this item tells; they are done with the commit. */
  journal?: readonly Buffer[] | undefined;
};

type Stanza = Settles & {
  /** WhatsApp's id of this very stanza; a second one of the same sender is dropped. */
  providerMessageId: string;
  chat: ChatInput;
  /** null: the number itself, from its phone or another device. */
  from: PersonInput | null;
  at: Date;
  /** Of a change: what two repetitions have in common, where that is more than the ids. */
  dedupe?: string | undefined;
};

export type MessageItem = Stanza & {
  kind: "message";
  /**
   * waiting: not decrypted (yet); the one that follows with the same id takes its place. imported: out of an old
   * chat.
   */
  event: "received" | "echoed" | "waiting" | "imported";
  type: MessageType;
  text: string | null;
  content?: MessageContent | undefined;
  media?: MediaInput | null | undefined;
  /** What it answers. */
  context?: { providerMessageId: string } | null | undefined;
};

/** A change of an earlier message. Of an edit, the author must be the message's own, or it is dropped. */
export type ChangeItem = Stanza & {
  /** The provider's id of the message that is changed. */
  target: string;
} & (
    | { kind: "edit"; text: string | null }
    /** `isByAdmin`: WhatsApp has let it through as that of an admin, who may delete what others wrote in a group. */
    | { kind: "delete"; isByAdmin?: boolean }
    | { kind: "reaction"; emoji: string | null }
  );

/** Only something about a person: that this phone and this LID are one, or how they call themselves. */
export type PersonItem = Settles & { kind: "person"; person: PersonInput };

/** Nothing to tell (keys, history, …): only the journal entries are done. */
export type NothingItem = Settles & { kind: "nothing" };

export type InboundItem = MessageItem | ChangeItem | PersonItem | NothingItem;

/** A message that was sent: by our id, else by WhatsApp's. */
export type SentName = { messageId?: string | undefined; providerMessageId?: string | undefined };

/** The number whose messages they are, and who tells of them. */
export type InboundSource = {
  fence: Fence;
  companyId: CompanyId;
  numberId: NumberId;
  provider: Provider;
  /** The number's own phone, for what it wrote itself. */
  phone: string | null;
  /** For the envelope's `source`. */
  service: string;
  traceparent?: string | undefined;
};
