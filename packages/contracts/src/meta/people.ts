/** Who is meant: by phone, by business-scoped id, or both. */
import { type Json, listOf, nameOf, objectOf, textOf } from "./json.ts";
import type { MetaPerson } from "./types.ts";

/** Digits without the plus where the text is a phone number in some form, else the text as it is. */
export function phoneText(value: unknown): string | null {
  const text = textOf(value);
  if (text === null || !/^\+?[0-9][0-9\s().-]*$/.test(text)) return text;
  return text.replaceAll(/[^0-9]/g, "");
}

/** The `contacts` of a value, which name the people that its messages and statuses only point to. */
export class People {
  readonly #contacts: readonly Json[];

  constructor(value: Json) {
    this.#contacts = listOf(value["contacts"]).map(objectOf);
  }

  /**
   * The person with these ids, and what `contacts` add. With no id at all it is the only contact there is; a
   * contact whose id contradicts is somebody else.
   */
  person(phone: unknown, userId: unknown): MetaPerson {
    const [digits, user] = [phoneText(phone), textOf(userId)];
    const contact = this.#find(digits, user);
    const profile = objectOf(contact["profile"]);
    return personOf({
      phone: digits ?? phoneText(contact["wa_id"]),
      userId: user ?? textOf(contact["user_id"]),
      username: textOf(profile["username"]),
      name: textOf(profile["name"]),
    });
  }

  #find(phone: string | null, userId: string | null): Json {
    for (const contact of this.#contacts) {
      const isSamePhone = phone !== null && phoneText(contact["wa_id"]) === phone;
      const isSameUser = userId !== null && textOf(contact["user_id"]) === userId;
      const isOther =
        differs(phone, phoneText(contact["wa_id"])) || differs(userId, textOf(contact["user_id"]));
      if (isSameUser || (isSamePhone && !isOther)) return contact;
    }
    const [only, second] = this.#contacts;
    if (only === undefined || second !== undefined) return {};
    const isOther =
      differs(phone, phoneText(only["wa_id"])) || differs(userId, textOf(only["user_id"]));
    return isOther ? {} : only;
  }
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
