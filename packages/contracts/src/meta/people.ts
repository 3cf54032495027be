/** Who is meant: by phone, by business-scoped id, or both. */
import { type Json, listOf, nameOf, objectOf, textOf } from "./json.ts";
import type { MetaPerson } from "./types.ts";

/** Digits without the plus where the text is a phone number in some form, else the text as it is. */
export function phoneText(value: unknown): string | null {
  const text = textOf(value);
  if (text === null || !/^\+?[0-9][0-9\s().-]*$/.test(text)) return text;
  return text.replaceAll(/[^0-9]/g, "");
}

type Contact = { phone: string | null; userId: string | null; profile: Json; place: number };

/** The `contacts` of a value, which name the people that its messages and statuses only point to. */
export class People {
  readonly #contacts: readonly Contact[];
  readonly #byPhone: ReadonlyMap<string | null, readonly Contact[]>;
  readonly #byUser: ReadonlyMap<string | null, readonly Contact[]>;
  readonly #isCrowd: boolean;

  constructor(value: Json) {
    this.#contacts = listOf(value["contacts"]).map((one, place) => {
      const contact = objectOf(one);
      return {
        phone: phoneText(contact["wa_id"]),
        userId: textOf(contact["user_id"]),
        profile: objectOf(contact["profile"]),
        place,
      };
    });
    this.#byPhone = Map.groupBy(this.#contacts, ({ phone }) => phone);
    this.#byUser = Map.groupBy(this.#contacts, ({ userId }) => userId);
    this.#isCrowd = this.#contacts.length === 1 && namesSeveral(value);
  }

  /**
   * The person with these ids, and what `contacts` add. With no id at all it is the only contact there is; a
   * contact whose id contradicts is somebody else.
   */
  person(phone: unknown, userId: unknown): MetaPerson {
    const [digits, user] = [phoneText(phone), textOf(userId)];
    const contact = this.#find(digits, user);
    return personOf({
      phone: digits ?? contact?.phone ?? null,
      userId: user ?? contact?.userId ?? null,
      username: textOf(contact?.profile["username"]),
      name: textOf(contact?.profile["name"]),
    });
  }

  #find(phone: string | null, userId: string | null): Contact | undefined {
    const isOther = (contact: Contact): boolean =>
      differs(phone, contact.phone) || differs(userId, contact.userId);
    const [byUser] = userId === null ? [] : (this.#byUser.get(userId) ?? []);
    const samePhone = phone === null ? [] : (this.#byPhone.get(phone) ?? []);
    const byPhone = samePhone.find((contact) => !isOther(contact));
    if (byUser && byPhone) return byUser.place < byPhone.place ? byUser : byPhone;
    const found = byUser ?? byPhone;
    if (found) return found;
    const [only, second] = this.#contacts;
    return only && !second && !this.#isCrowd && !isOther(only) ? only : undefined;
  }
}

/** Whether the value points to more people than one: then a contact that names none of them may be any. */
function namesSeveral(value: Json): boolean {
  const named = [
    ...listOf(value["messages"]).map((one) => namesIn(objectOf(one), "from", "from_user_id")),
    ...listOf(value["message_echoes"]).map((one) => namesIn(objectOf(one), "to", "to_user_id")),
    ...listOf(value["statuses"]).map((one) =>
      namesIn(objectOf(one), "recipient_id", "recipient_user_id"),
    ),
  ];
  return [0, 1].some((which) => new Set(named.flatMap((names) => names[which] ?? [])).size > 1);
}

function namesIn(one: Json, phone: string, userId: string): [string | null, string | null] {
  return [phoneText(one[phone]), textOf(one[userId])];
}

function differs(one: string | null, other: string | null): boolean {
  return one !== null && other !== null && one !== other;
}

export function personOf(names: {
  [Name in keyof Required<MetaPerson>]?: string | null;
}): MetaPerson {
  const person: MetaPerson = {};
  for (const name of ["phone", "userId", "username", "name"] as const) {
    const text = nameOf(names[name]);
    if (text !== null) person[name] = text;
  }
  return person;
}

export function isNobody({ phone, userId, username }: MetaPerson): boolean {
  return phone === undefined && userId === undefined && username === undefined;
}
