/** A company with a number that an owner serves, and people who write to it. */
import { randomBytes } from "node:crypto";
import type { NumberId } from "@manyline/contracts";
import type { MessageItem, PersonInput } from "@manyline/db";
import { until } from "@manyline/testkit";
import { numberNoOf } from "./owner.ts";
import type { Owner } from "./owner.ts";
import { addCompany, addNumber, call } from "./support.ts";
import type { Answer, CallOptions, TestCompany, World } from "./support.ts";

export type Line = {
  readonly company: TestCompany;
  readonly numberId: NumberId;
  readonly numberNo: number;
};

/** A line whose owner may write: it adopts by polling, and raises the fence after that. */
export async function openLine(
  world: World,
  owner: Owner,
  body: Record<string, unknown> = {},
): Promise<Line> {
  const company = await addCompany(world, { country: "RU", ...body });
  const numberId = (await addNumber(world, company)) as NumberId;
  const numberNo = await numberNoOf(world, numberId);
  await until(
    async () => {
      await owner.receive(numberNo, { kind: "person", person: stranger() });
      return true;
    },
    { label: "adopted" },
  );
  return { company, numberId, numberNo };
}

let phones = 79_110_000_000;
/** Somebody nobody has heard of. */
export function stranger(name?: string): PersonInput & { phone: string; lid: string } {
  phones += 1;
  return { phone: String(phones), lid: `18${phones}`, name: name ?? `Person ${phones}` };
}

/** A text from a person to the number. */
export function textFrom(person: PersonInput, more: Partial<MessageItem> = {}): MessageItem {
  return {
    kind: "message",
    event: "received",
    providerMessageId: `3EB0${randomBytes(9).toString("hex").toUpperCase()}`,
    chat: { type: "direct", person },
    from: person,
    at: new Date(),
    type: "text",
    text: "Good morning",
    ...more,
  };
}

/** A route of the line's company, with its token. */
export function ask(
  world: World,
  { company }: Pick<Line, "company">,
  method: string,
  path: string,
  options: CallOptions = {},
): Promise<Answer> {
  return call(world, method, `/api/whatsapp/sessions/${company.id}${path}`, {
    token: company.token,
    ...options,
  });
}
