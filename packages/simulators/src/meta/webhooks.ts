/** What Meta tells an app: the values of webhooks. */
import { randomBytes } from "node:crypto";
import type { Deliveries } from "./deliveries.ts";
import { titleOf } from "./errors.ts";
import type { BusinessNumber, MetaWorld, Person } from "./world.ts";

export const newWamid = (): string => `wamid.${randomBytes(24).toString("base64")}`;
const seconds = (at: number = Date.now()): string => String(Math.floor(at / 1_000));

export type StatusInput = {
  id: string;
  status: "sent" | "delivered" | "read" | "played" | "failed";
  callbackData?: string | undefined;
  error?: { code: number; details?: string | undefined } | undefined;
  /** Whether it was sent to the phone: then a failure names it. */
  isToPhone: boolean;
  category: string;
};

export class Webhooks {
  readonly #world: MetaWorld;
  readonly #deliveries: Deliveries;

  constructor(world: MetaWorld, deliveries: Deliveries) {
    this.#world = world;
    this.#deliveries = deliveries;
  }

  /** Something a person sent. `body`: the type and what belongs to it. Returns its id. */
  message(
    number: BusinessNumber,
    person: Person,
    body: { type: string } & Record<string, unknown>,
  ): string {
    const id = newWamid();
    const { phone, userId } = this.#names(number, person);
    this.#send(number, {
      contacts: [this.#contact(number, person, true)],
      messages: [
        {
          ...(phone === undefined ? {} : { from: phone }),
          from_user_id: userId,
          id,
          timestamp: seconds(),
          ...body,
        },
      ],
    });
    return id;
  }

  /** Something the number's owner wrote in the app on the phone. Returns its id. */
  echo(
    number: BusinessNumber,
    person: Person,
    body: { type: string } & Record<string, unknown>,
  ): string {
    const id = newWamid();
    const { phone, userId } = this.#names(number, person);
    const to = { ...(phone === undefined ? {} : { to: phone }), to_user_id: userId };
    this.#send(
      number,
      { message_echoes: [{ from: number.phone, ...to, id, timestamp: seconds(), ...body }] },
      "smb_message_echoes",
    );
    return id;
  }

  status(number: BusinessNumber, person: Person, input: StatusInput): void {
    const { phone, userId } = this.#names(number, person);
    const isFailed = input.status === "failed";
    const { error } = input;
    this.#send(number, {
      ...(isFailed ? {} : { contacts: [this.#contact(number, person, false)] }),
      statuses: [
        {
          id: input.id,
          status: input.status,
          timestamp: seconds(),
          ...(phone === undefined && !input.isToPhone ? {} : { recipient_id: person.phone }),
          ...(isFailed && input.isToPhone ? {} : { recipient_user_id: userId }),
          ...(input.callbackData === undefined
            ? {}
            : { biz_opaque_callback_data: input.callbackData }),
          ...(isFailed
            ? {}
            : {
                pricing: {
                  billable: input.category !== "service",
                  pricing_model: "PMP",
                  type: input.category === "service" ? "free_customer_service" : "regular",
                  category: input.category,
                },
              }),
          ...(error
            ? {
                errors: [
                  {
                    code: error.code,
                    title: titleOf(error.code),
                    message: titleOf(error.code),
                    error_data: { details: error.details ?? titleOf(error.code) },
                  },
                ],
              }
            : {}),
        },
      ],
    });
  }

  /** Any other change of a number or its account, as it is. */
  change(number: BusinessNumber, field: string, value: Record<string, unknown>): void {
    this.#deliveries.add(number.wabaId, field, value);
  }

  #names(number: BusinessNumber, person: Person): { phone: string | undefined; userId: string } {
    const { portfolioId } = this.#world.wabaOf(number);
    const userId = this.#world.userIdOf(person.phone, portfolioId);
    return { phone: person.isPhoneHidden ? undefined : person.phone, userId };
  }

  #contact(number: BusinessNumber, person: Person, hasName: boolean): object {
    const { phone, userId } = this.#names(number, person);
    return {
      profile: {
        ...(hasName ? { name: person.name } : {}),
        ...(person.username === null ? {} : { username: person.username }),
      },
      ...(phone === undefined ? {} : { wa_id: phone }),
      user_id: userId,
    };
  }

  #send(number: BusinessNumber, value: object, field = "messages"): void {
    const metadata = { display_phone_number: number.phone, phone_number_id: number.id };
    this.#deliveries.add(number.wabaId, field, {
      messaging_product: "whatsapp",
      metadata,
      ...value,
    });
  }
}
