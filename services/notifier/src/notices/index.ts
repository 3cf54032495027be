/** Puts the parts of notices together. */
import type { Database, Keyring } from "@manyline/db";
import type { Bus, BusSubscription, Logger } from "@manyline/runtime";
import type { NoticeConfig } from "./config.ts";
import { consumeForNotices } from "./intake.ts";
import { createMailer } from "./mail.ts";
import { Outbox } from "./outbox.ts";
import { Post } from "./post.ts";
import { createNoticeReports } from "./reports.ts";
import { createHttpSms, createTwilio, type SmsProvider } from "./sms.ts";

export type NoticesOptions = {
  config: NoticeConfig;
  bus: Bus;
  db: Database;
  keyring: Keyring;
  logger: Logger;
};

/** Mail and SMS of one notifier. */
export class Notices {
  readonly #options: NoticesOptions;
  readonly #outbox: Outbox;
  readonly #reports;

  constructor(options: NoticesOptions) {
    this.#options = options;
    const { config, db, keyring, logger } = options;
    const { publicUrl, timeoutMs, sweepMs, gatherMs, quietMs, smtpUrl, smtpCa, mailFrom } = config;
    this.#reports = createNoticeReports(logger);
    const post = new Post({
      db,
      keyring,
      publicUrl,
      reports: this.#reports,
      timeoutMs,
      mailer:
        smtpUrl === undefined
          ? undefined
          : createMailer({ url: smtpUrl, from: mailFrom, ca: smtpCa }),
      smsProviders: smsProvidersOf(config),
    });
    const reports = this.#reports;
    this.#outbox = new Outbox({ db, post, reports, timeoutMs, sweepMs, gatherMs, quietMs });
  }

  /** Sends what is left, and takes events from now on. */
  start(): BusSubscription {
    const { bus, db, config } = this.#options;
    const { lossMs, gatherMs } = config;
    this.#outbox.start();
    const onQueued = (): void => this.#outbox.wake();
    return consumeForNotices({ bus, db, reports: this.#reports, lossMs, gatherMs, onQueued });
  }

  stop(): Promise<void> {
    return this.#outbox.stop();
  }
}

function smsProvidersOf({ twilio, httpSms }: NoticeConfig): Map<string, SmsProvider> {
  const providers = new Map<string, SmsProvider>();
  if (twilio) providers.set("twilio", createTwilio(twilio));
  if (httpSms) providers.set("http", createHttpSms(httpSms));
  return providers;
}
