import { Notice } from "../../components/notice.tsx";
import { formatPhone } from "../../phone-number/format.ts";
import { formatAgo, formatTime } from "./times.ts";
import type { View } from "./view.ts";

/** Remarks above the tabs, or below the statement of a linked number: why the page looks as it does. */
export function PageNotices({ view }: { view: View }) {
  const { screen, state, words } = view;
  const { t, language } = words;
  const { facts } = state;
  if (!facts) return null;
  if (screen === "connected" && state.otherPhone) {
    return <Notice>{t("notice.otherPhone", { phone: formatPhone(state.otherPhone) })}</Notice>;
  }
  if ((screen === "already" || screen === "connected") && facts.until !== null) {
    if (facts.until <= state.now) return null;
    const time = formatTime(facts.until, state.now, language, facts.company.timezone);
    return <Notice tone="disconnected">{t("notice.restricted", { time })}</Notice>;
  }
  if (state.attempt?.switched && (screen === "switched" || screen === "code-ending")) {
    const email = facts.company.maskedEmail;
    return (
      <Notice tone="connecting">
        {t("switched.title")}.{email && ` ${t("switched.notified", { email })}`}
      </Notice>
    );
  }
  if (screen === "phone-missing") {
    return <Notice tone="disconnected">{t("switched.phoneMissing")}</Notice>;
  }
  if (screen === "entry" && state.isWaitOver) return <Notice>{t("wait.over")}</Notice>;
  const isStart = screen === "entry" || screen === "qr-ask" || screen.startsWith("qr");
  if (isStart && state.isUnlinkedHere) return <Notice>{t("notice.unlinked")}</Notice>;
  if (isStart && facts.reason === "logged_out") {
    const ago = formatAgo(facts.since, state.now, language);
    return <Notice tone="disconnected">{t("notice.loggedOut", { ago })}</Notice>;
  }
  return null;
}
