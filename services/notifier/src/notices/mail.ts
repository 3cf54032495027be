/** Mail over SMTP. Each mail has a connection of its own, which ends when its time is over. */
import { createTransport } from "nodemailer";
import { codeOf } from "./sms.ts";
import type { SendOutcome, SendResult } from "./outcome.ts";

/** `id`: the same for each try of one mail, so that its readers' programs show one. */
export type Mail = {
  id: string;
  to: string;
  subject: string;
  text: string;
  html: string;
  /** It may have been sent before. */
  isRepeat: boolean;
};

export type Mailer = { send(mail: Mail, timeoutMs: number): Promise<SendResult> };

/** `ca`: PEM of who may have signed the server's certificate; undefined: whom Node trusts. */
export function createMailer({
  url,
  from,
  ca,
}: {
  url: string;
  from: string;
  ca?: string | undefined;
}): Mailer {
  const host = /@([^>\s]+)>?\s*$/.exec(from)?.[1] ?? "manyline.invalid";
  return {
    send: async ({ id, to, subject, text, html, isRepeat }, timeoutMs) => {
      let isHandedOver = false;
      const transport = createTransport({
        url,
        ...(ca === undefined ? {} : { tls: { ca } }),
        connectionTimeout: timeoutMs,
        greetingTimeout: timeoutMs,
        socketTimeout: timeoutMs,
        dnsTimeout: timeoutMs,
        // Nothing of it is logged: it is told here when the whole mail was written to the server.
        logger: silentLogger((tnx) => {
          if (tnx === "message") isHandedOver = true;
        }),
      });
      const controller = new AbortController();
      const timer = setTimeout(() => controller.abort(), timeoutMs);
      try {
        await transport.sendMail({
          from,
          to: { name: "", address: to },
          subject,
          text,
          html,
          messageId: `<${id}@${host}>`,
          headers: {
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
            ...(isRepeat ? { "X-Manyline-Repeat": "true" } : {}),
          },
          disableFileAccess: true,
          disableUrlAccess: true,
          signal: controller.signal,
        });
        return { outcome: "sent", code: null };
      } catch (error) {
        return resultOf(error, isHandedOver);
      } finally {
        clearTimeout(timer);
        transport.close();
      }
    },
  };
}

function resultOf(error: unknown, isHandedOver: boolean): SendResult {
  const { responseCode, command, message } = Object(error) as Record<string, unknown>;
  const code = codeOf(error);
  if (typeof responseCode === "number") {
    return { outcome: outcomeOfReply(responseCode, String(command)), code: String(responseCode) };
  }
  if (code === "EAUTH" || code === "ENOAUTH") return { outcome: "unauthorised", code };
  // Of a certificate that is refused nodemailer leaves the sentence of OpenSSL or Node alone; all of them name it.
  if ((code === "ESOCKET" || code === "ETLS") && /certificate/i.test(String(message))) {
    return { outcome: "untrusted", code: "certificate" };
  }
  if (code === "EENVELOPE") return { outcome: "wrong_address", code };
  return { outcome: isHandedOver ? "unclear" : "down", code };
}

/** RFC 5321, 4.2. */
export function outcomeOfReply(reply: number, command: string): SendOutcome {
  if ([530, 534, 535, 538, 454].includes(reply)) return "unauthorised";
  if (reply === 450 || reply === 452) return "throttled";
  if (reply < 500) return "down";
  return command.startsWith("RCPT") ? "wrong_address" : "refused";
}

function silentLogger(onEntry: (tnx: unknown) => void) {
  const log = (entry: unknown): void => onEntry((Object(entry) as { tnx?: unknown }).tnx);
  return {
    level: () => undefined,
    trace: log,
    debug: log,
    info: log,
    warn: log,
    error: log,
    fatal: log,
  };
}
