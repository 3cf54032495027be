/** Sends one letter and notes how it went. */
import type { RenderedNotice } from "@manyline/contracts/notices";
import { type ClaimedNotification, settleNotifications } from "@manyline/db";
import { kindOf, type Letter, type LetterOptions, writeLetter } from "./letters.ts";
import type { Mailer } from "./mail.ts";
import { fateOf, isWornOut, type SendResult } from "./outcome.ts";
import type { NoticeReports } from "./reports.ts";
import type { SmsProvider } from "./sms.ts";

export type PostOptions = LetterOptions & {
  reports: NoticeReports;
  /** Undefined: there is no mail here. */
  mailer: Mailer | undefined;
  /** By the name that companies' settings call them. */
  smsProviders: ReadonlyMap<string, SmsProvider>;
  timeoutMs: number;
};

const WRITE_AGAIN_MS = 1_000;

export class Post {
  readonly #options: PostOptions;

  constructor(options: PostOptions) {
    this.#options = options;
  }

  /** All of one letter, to one reader. */
  async send(claimed: ClaimedNotification[]): Promise<void> {
    const { db, reports } = this.#options;
    const [first] = claimed;
    if (first === undefined) return;
    const { channel } = first;
    const kind = kindOf(first);
    if (isWornOut(first.tries)) {
      await settleNotifications(db, claimed, undefined, { state: "failed" });
      reports.ended("failed", channel, kind, claimed.length);
      return;
    }
    const { content, news, over } = await this.#write(claimed);
    if (over.length > 0) {
      await settleNotifications(db, over, undefined, { state: "over" });
      reports.ended("over", channel, kind, over.length);
    }
    const [lead] = news;
    if (content === undefined || lead === undefined) return;

    const start = performance.now();
    const result = await this.#transmit(lead, content);
    const latencyMs = Math.round(performance.now() - start);
    const { outcome, code } = result;
    reports.tried({ channel, kind: lead.kind, outcome, code }, latencyMs);
    const last = Math.max(...news.map(({ expiresAt }) => expiresAt.getTime()));
    const fate = fateOf(result, {
      kind: kindOf(lead),
      isUrgent: lead.isUrgent,
      before: lead.tries,
      expiresAt: new Date(last),
      now: new Date(lead.now.getTime() + latencyMs),
    });
    await settleNotifications(db, news, { outcome, code, latencyMs }, fate);
    if (fate.state === "sent" && lead.isUrgent)
      reports.arrived(channel, lead.now.getTime() - lead.createdAt.getTime() + latencyMs);
    if (fate.state === "failed") reports.ended("failed", channel, lead.kind, news.length);
  }

  /** What fails here was not sent, and is not taken for sent. */
  async #write(claimed: ClaimedNotification[]): Promise<Letter> {
    try {
      return await writeLetter(this.#options, claimed);
    } catch (error) {
      const again = { state: "waiting" as const, inMs: WRITE_AGAIN_MS };
      await settleNotifications(this.#options.db, claimed, undefined, again);
      throw error;
    }
  }

  /** Ends with the notice's life: nothing is handed over after it. */
  async #transmit(
    { channel, address, provider, letterId, isRepeat, now, expiresAt }: ClaimedNotification,
    { subject, text, html, sms }: RenderedNotice,
  ): Promise<SendResult> {
    const { mailer, smsProviders } = this.#options;
    const lifeMs = Math.max(1, expiresAt.getTime() - now.getTime());
    const timeoutMs = Math.min(this.#options.timeoutMs, lifeMs);
    if (channel === "email") {
      if (mailer === undefined) return { outcome: "not_configured", code: null };
      return mailer.send({ id: letterId, to: address, subject, text, html, isRepeat }, timeoutMs);
    }
    const port = smsProviders.get(provider?.trim().toLowerCase() ?? "");
    if (port === undefined || sms === undefined) return { outcome: "not_configured", code: null };
    const signal = AbortSignal.timeout(timeoutMs);
    return port.send({ id: letterId, to: address, text: sms, lifeMs }, signal);
  }
}
