import { formatPhone } from "../../phone-number/format.ts";
import type { Catalogue } from "../../strings/catalogue.ts";
import { spelled, type Announcement, type SpokenScreen } from "../announce.ts";
import { secondsUntil } from "../clock.ts";
import type { PageState } from "../state.ts";
import { CODE_SECONDS } from "./code-seconds.ts";
import { phoneName } from "./phone-name.ts";

/** The words of an announcement. Screens are read by their title; what else they say can be read there. */
export function announcementText(
  announcement: Announcement,
  state: PageState,
  words: Catalogue,
): string {
  const { t } = words;
  switch (announcement.kind) {
    case "qr":
      return t("announce.qr", { k: announcement.k, max: announcement.max });
    case "code": {
      const { code, seconds, isSwitched } = announcement;
      const text = `${t("announce.code", { spelled: spelled(code) })} ${t("code.left", { n: seconds })}`;
      return isSwitched ? `${t("switched.title")}. ${text}` : text;
    }
    case "half":
    case "soon":
      return t(`announce.${announcement.kind}`);
    case "screen":
      return screenText(announcement.screen, state, words);
  }
}

function screenText(screen: SpokenScreen, state: PageState, words: Catalogue): string {
  const { t } = words;
  const phone = phoneName({ state, words });
  switch (screen) {
    case "link-invalid":
      return t("link.invalidTitle");
    case "link-missing":
      return t("link.missingTitle");
    case "link-ended":
      return t("link.endedTitle");
    case "unreachable":
      return state.lost && state.lost.why !== "network"
        ? t(`unreachable.${state.lost.why}`)
        : t("unreachable.title");
    case "switching":
      return t("switched.working", {
        phone: state.attempt?.phone ? formatPhone(state.attempt.phone) : "",
      });
    case "phone-missing":
      return t("switched.phoneMissing");
    case "expired":
      return `${t("code.expiredTitle")}. ${t("code.expiredBody", { n: CODE_SECONDS })}`;
    case "wait": {
      const left = secondsUntil(state.blockedUntil ?? state.now, state.now);
      return t("wait.title", { n: Math.ceil(left / 60) });
    }
    case "whatsapp-wait":
      return t("wait.whatsappTitle");
    case "passkey":
      return t("passkey.title");
    case "not-on-whatsapp":
      return t("notOnWhatsApp.title", { phone });
    case "failed":
      return t(state.tab === "qr" ? "failed.qrTitle" : "failed.title");
    case "refused":
      return t("refused.otherTitle");
    case "linking":
      return t("linking.title");
    case "connected":
      return t("connected.title", { phone });
    case "down":
      return t("down.noPhone");
  }
}
