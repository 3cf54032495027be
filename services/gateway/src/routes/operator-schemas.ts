/** Pieces that the operator's routes share. */
import { ManylineError } from "@manyline/contracts";
import { Type } from "typebox";

export const LimitField = Type.Optional(
  Type.String({
    pattern: "^([1-9][0-9]?|[1-4][0-9]{2}|500)$",
    description: "1 to 500, default 100",
  }),
);

/** The length of a page, as asked or 100. */
export function limitOf(text: string | undefined): number {
  return Math.min(500, Number(text ?? 100));
}

export const ShardParams = Type.Object({ shardId: Type.String({ description: "e.g. 12" }) });

/** Throws SHARD_NOT_FOUND for what cannot be a shard's id. */
export function shardIdOf(text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw new ManylineError("SHARD_NOT_FOUND");
  return Number(text);
}

/** An answer `{success, …}` with these fields, all of them there. */
export function envelope(properties: Record<string, object>): object {
  return {
    type: "object",
    required: ["success", ...Object.keys(properties)],
    properties: { success: { const: true }, ...properties },
  };
}

export function listOf(item: object): object {
  return { type: "array", items: item };
}

/** The cursor of a list's next page. */
export const Next = { type: ["string", "null"], description: "null: this was the last page" };
