/** From a notice to its readers: one row for each. Pure. */
import { randomUUID } from "node:crypto";
import { addresseesOf, addressKey, isUrgent, type Notice } from "@manyline/contracts/notices";
import type { NewNotification, NoticeReader } from "@manyline/db";

export type About = { companyNo: number; numberNo: number | null; eventId: string };

export function rowsOf(notice: Notice, reader: NoticeReader, about: About): NewNotification[] {
  const { kind, facts, expiresAt, attemptId = null } = notice;
  const { companyNo, numberNo } = about;
  // One pause is told once, however often somebody asks during it.
  const eventId = kind === "blocked" ? `blocked ${facts.time ?? ""}` : about.eventId;
  return addresseesOf(kind, reader).map((to) => ({
    companyNo,
    numberNo,
    eventId,
    kind,
    facts,
    attemptId,
    channel: to.channel,
    address: to.address,
    addressKey: addressKey(to.address),
    provider: to.channel === "sms" ? to.provider : null,
    isUrgent: isUrgent(kind),
    letterId: newLetterId(),
    expiresAt,
  }));
}

export function newLetterId(): string {
  return `ntc_${randomUUID().replaceAll("-", "")}`;
}
