/** What the conformance suite needs of a provider: a number, and the people at its other end. */
import type { Capability, Engine } from "@manyline/contracts";
import type { Company } from "../company.ts";

/** Writes to every number of the suite, and reads at once what the number writes. */
export const ANN = "79007654321";

/** A message of the number as a person sees it now: edited ones as they are, those taken back not at all. */
export type Seen = {
  type: string;
  /** The text, the caption, the name of a place, person, poll or template. */
  text: string | null;
  /** Of a message with a file. */
  file: Buffer | null;
  /** The provider's id of the message that it answers. */
  quotes: string | null;
};

export type Reaction = { target: string; emoji: string };

/** A connected number, and what happens outside of the product. */
export type Line = {
  readonly numberId: string;
  /** Ann writes. Resolves with the provider's id. */
  writes(text: string): Promise<string>;
  sendsImage(bytes: Buffer, caption: string): Promise<string>;
  /** What Ann does to a message, where the provider tells of it. */
  readonly changes: {
    /** To a message of hers or the number's. */
    react?: (target: string, emoji: string) => Promise<void>;
    edit?: (target: string, text: string) => Promise<void>;
    delete?: (target: string) => Promise<void>;
  };
  /** What the number wrote to Ann, or to another place: a LID, a group. */
  sees(place?: string): Promise<Seen[]>;
  /** What the number reacted to. */
  reactions(): Reaction[];
  /** Whether Ann knows that this message of hers was read. */
  isRead(id: string): boolean;
  /** Whether it was shown to Ann that somebody types. */
  isTyping(): boolean;
  /** A LID that can be written to, where there are any. */
  lid(): string;
  /** A group that can be written to, where there are any. */
  group(): Promise<string>;
  /** The connection ends at the other side, and does not come back by itself. */
  lose(): void;
  /** What a person does about it. */
  mend(): Promise<void>;
  /** Whether the other side still has the number's connection. */
  isThere(): boolean;
};

/** One provider, or one of the servers of a provider. */
export type Variant = {
  readonly engine: Engine;
  /** A number of the company, connected as a person would. */
  open(company: Company): Promise<Line>;
};

/** What no scenario calls, since the table says that it cannot be done. */
export function without(engine: Engine, capability: Capability): never {
  throw new Error(`${engine} has no ${capability}`);
}

export const textOf = (value: unknown): string | null =>
  typeof value === "string" && value !== "" ? value : null;
