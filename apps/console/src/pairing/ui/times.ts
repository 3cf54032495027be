/** Times as people of a company read them: in their language and its time zone. */

/** @returns nothing for a zone this browser does not know: then its own is used */
function zone(timezone: string): { timeZone?: string } {
  try {
    const format = new Intl.DateTimeFormat("en", { timeZone: timezone });
    return { timeZone: format.resolvedOptions().timeZone };
  } catch {
    return {};
  }
}

/** `14:32`, with the day if it is another one than `now`'s. */
export function formatTime(at: number, now: number, language: string, timezone: string): string {
  const options = zone(timezone);
  const day = new Intl.DateTimeFormat(language, { ...options, dateStyle: "short" });
  const isToday = day.format(at) === day.format(now);
  return new Intl.DateTimeFormat(language, {
    ...options,
    timeStyle: "short",
    ...(isToday ? {} : { dateStyle: "medium" }),
  }).format(at);
}

/** `October 3, 2026` */
export function formatDate(at: number, language: string, timezone: string): string {
  return new Intl.DateTimeFormat(language, { ...zone(timezone), dateStyle: "long" }).format(at);
}

/** `4 minutes ago` */
export function formatAgo(at: number, now: number, language: string): string {
  const format = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  const seconds = Math.round((at - now) / 1_000);
  if (seconds > -60) return format.format(Math.min(0, seconds), "second");
  if (seconds > -3_600) return format.format(Math.round(seconds / 60), "minute");
  if (seconds > -86_400) return format.format(Math.round(seconds / 3_600), "hour");
  return format.format(Math.round(seconds / 86_400), "day");
}

/** `23:41` */
export function formatClock(seconds: number): string {
  const rest = String(seconds % 60).padStart(2, "0");
  return `${String(Math.floor(seconds / 60)).padStart(2, "0")}:${rest}`;
}
