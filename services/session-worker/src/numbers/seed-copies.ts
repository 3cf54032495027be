/**
 * Copies in Redis for readers of the seed's keys: disposable, with expiry, never the truth, never a code.
 *
 * | key | value | life |
 * | whatsapp:qr_count:{companyId} | QRs shown in the current attempt | 1 h |
 * | whatsapp:pairing:{companyId} | `{attemptId, method, phone (masked), expiresAt}` | until expiresAt |
 * | whatsapp:session:{companyId} | `{status, state, phoneNumber (masked), at}` | 1 h |
 * | whatsapp:rate_limit:{companyId} | `{blockedUntil}` | until then |
 *
 * Numbers other than the primary append `:{numberId}`; the limit is the company's and never does.
 */
import { maskPhone, type Phone, type SessionStatus } from "@manyline/contracts";
import type { OwnedNumber } from "@manyline/db";
import type { Logger } from "@manyline/runtime";
import type { Redis } from "ioredis";

const HOUR_S = 3_600;

export type SeedCopies = {
  session(number: OwnedNumber, status: SessionStatus, phone: Phone | null): void;
  qr(number: OwnedNumber, attemptId: string, k: number, expiresAt: Date): void;
  code(number: OwnedNumber, attemptId: string, phone: Phone, expiresAt: Date): void;
  pairingEnded(number: OwnedNumber): void;
  blocked(companyId: string, until: Date): void;
};

/** `redis` undefined: no copies are made. A failing Redis is logged once a minute and changes nothing else. */
export function createSeedCopies(redis: Redis | undefined, logger: Logger): SeedCopies {
  let quietUntil = 0;
  const run = (work: (client: Redis) => Promise<unknown>): void => {
    if (redis?.status !== "ready") return;
    work(redis).catch((error: unknown) => {
      if (Date.now() < quietUntil) return;
      quietUntil = Date.now() + 60_000;
      logger.warn({ err: error, event: "seed_copies.failed" }, "copies in Redis were not written");
    });
  };
  const key = (kind: string, number: OwnedNumber): string =>
    `whatsapp:${kind}:${number.companyId}${number.isPrimary ? "" : `:${number.numberId}`}`;
  const put = (name: string, value: object, until: Date): void =>
    run((client) =>
      client.set(name, JSON.stringify(value), "PX", Math.max(1, until.getTime() - Date.now())),
    );

  return {
    session: (number, status, phone) =>
      put(
        key("session", number),
        {
          status,
          state: status,
          phoneNumber: phone === null ? null : maskPhone(phone),
          at: new Date().toISOString(),
        },
        new Date(Date.now() + HOUR_S * 1_000),
      ),
    qr: (number, attemptId, k, expiresAt) => {
      run((client) => client.set(key("qr_count", number), k, "EX", HOUR_S));
      put(
        key("pairing", number),
        { attemptId, method: "qr", phone: null, expiresAt: expiresAt.toISOString() },
        expiresAt,
      );
    },
    code: (number, attemptId, phone, expiresAt) =>
      put(
        key("pairing", number),
        { attemptId, method: "code", phone: maskPhone(phone), expiresAt: expiresAt.toISOString() },
        expiresAt,
      ),
    pairingEnded: (number) =>
      run((client) => client.del(key("pairing", number), key("qr_count", number))),
    blocked: (companyId, until) =>
      put(`whatsapp:rate_limit:${companyId}`, { blockedUntil: until.toISOString() }, until),
  };
}
