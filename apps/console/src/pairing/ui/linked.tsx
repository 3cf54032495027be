import { Button } from "../../components/button.tsx";
import { Dialog } from "../../components/dialog.tsx";
import { Notice } from "../../components/notice.tsx";
import type { Facts } from "../state.ts";
import type { Catalogue } from "../../strings/catalogue.ts";
import { phoneName } from "./phone-name.ts";
import { formatAgo, formatDate, formatTime } from "./times.ts";
import { FOCUS_TARGET, type View } from "./view.ts";
import css from "./statement.module.css";

/** A number that is linked: working, or without a connection at the moment. */
export function Linked({ view }: { view: View }) {
  const { state, screen, words, dispatch } = view;
  const { t, language } = words;
  const { facts, work } = state;
  if (!facts) return null;
  const phone = phoneName(view);
  const isDown = screen === "down";
  return (
    <div class={css.one}>
      <h1 {...FOCUS_TARGET}>
        {isDown
          ? facts.phone
            ? t("down.title", { phone })
            : t("down.noPhone")
          : t("already.title", { phone })}
      </h1>
      {isDown ? (
        <Notice tone={facts.status === "connecting" ? "connecting" : "error"}>
          {downText(facts, state.now, words)}
        </Notice>
      ) : (
        <p class={css.fact}>
          {t("already.since", {
            date: formatDate(facts.since, language, facts.company.timezone),
          })}
        </p>
      )}
      <div class={css.choices}>
        <Button
          size="big"
          isBusy={work !== undefined}
          onClick={() => dispatch({ type: "reconnect" })}
        >
          {work?.kind === "reconnecting" ? t("already.reconnecting") : t("already.reconnect")}
        </Button>
        <span>{t("already.reconnectHint")}</span>
        <Button
          size="big"
          isBusy={work !== undefined}
          onClick={() => dispatch({ type: "ask-unlink" })}
        >
          {t("already.unlink")}
        </Button>
        <span>{t("already.unlinkHint")}</span>
      </div>
      {state.isUnlinkAsked && (
        <Dialog
          title={t("already.confirmTitle", { phone })}
          body={t("already.confirmBody")}
          safe={t("already.confirmKeep")}
          other={t("already.unlink")}
          onSafe={() => dispatch({ type: "keep-linked" })}
          onOther={() => dispatch({ type: "unlink" })}
        />
      )}
    </div>
  );
}

/** Reasons with a sentence of their own; the others mend themselves. */
const DOWN_TEXTS = {
  replaced: "down.replaced",
  locked: "down.phone",
  multidevice: "down.phone",
  temp_ban: "down.phone",
  client_outdated: "down.operator",
  client_refused: "down.operator",
  untrusted_server: "down.operator",
} as const;

/** Why a linked number has no connection, and what helps. */
function downText(facts: Facts, now: number, { t, language }: Catalogue): string {
  const { reason, until, since, company } = facts;
  if (reason === "temp_ban" && until !== null) {
    return t("down.ban", { time: formatTime(until, now, language, company.timezone) });
  }
  if (hasText(reason)) return t(DOWN_TEXTS[reason]);
  return t("notice.reconnecting", { ago: formatAgo(since, now, language) });
}

function hasText(reason: string): reason is keyof typeof DOWN_TEXTS {
  return Object.hasOwn(DOWN_TEXTS, reason);
}
