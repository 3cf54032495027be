import type { ComponentChildren } from "preact";
import { Button } from "../../components/button.tsx";
import { LifeLine } from "../../components/life-line.tsx";
import { secondsUntil } from "../clock.ts";
import { isLoadingSlow, type StatementScreen } from "../screen.ts";
import { Linked } from "./linked.tsx";
import { formatClock, formatTime } from "./times.ts";
import { phoneName } from "./phone-name.ts";
import { FOCUS_TARGET, type View } from "./view.ts";
import css from "./statement.module.css";

/** How many codes an hour allows, and how long the pause after them is. */
const CODES_PER_HOUR = 5;
const PAUSE_SECONDS = 30 * 60;

/** Screens that are one sentence, what it means, and at most one thing to do. */
export function Statement({ view, screen }: { view: View; screen: StatementScreen }) {
  const { state, words, dispatch } = view;
  const { t } = words;
  switch (screen) {
    case "link-invalid":
      return <One title={t("link.invalidTitle")} texts={[t("link.invalidBody")]} />;
    case "link-missing":
      return <One title={t("link.missingTitle")} texts={[t("link.missingBody")]} />;
    case "link-ended":
      return <One title={t("link.endedTitle")} texts={[t("link.endedBody")]} />;
    case "loading":
      return (
        <One
          title={t("loading.title")}
          texts={[isLoadingSlow(state) ? t("unreachable.starting") : t("loading.body")]}
          isBusy
          isLate
        />
      );
    case "unreachable":
      return <Unreachable view={view} />;
    case "wait":
      return <Wait view={view} />;
    case "whatsapp-wait":
      return (
        <One title={t("wait.whatsappTitle")} texts={[t("wait.whatsappBody")]}>
          <Button size="big" onClick={() => dispatch({ type: "change-number" })}>
            {t("failed.again")}
          </Button>
        </One>
      );
    case "passkey":
      return (
        <One title={t("passkey.title")} texts={[t("passkey.body"), t("passkey.told")]}>
          <Button
            kind="main"
            size="big"
            onClick={() => {
              view.setDraft({ ...view.draft, text: "", isChecked: false, remark: undefined });
              dispatch({ type: "change-number" });
            }}
          >
            {t("passkey.another")}
          </Button>
        </One>
      );
    case "refused":
      return <Refused view={view} />;
    case "linking":
      return <One title={t("linking.title")} texts={[t("linking.body")]} isBusy />;
    case "connected":
      return <Connected view={view} />;
    case "already":
    case "down":
      return <Linked view={view} />;
  }
}

export function One(props: {
  title: string;
  texts: string[];
  isBusy?: boolean;
  isLate?: boolean;
  children?: ComponentChildren;
}) {
  return (
    <div class={`${css.one} ${props.isLate ? css.late : ""}`} aria-busy={props.isBusy || undefined}>
      <h1 {...FOCUS_TARGET}>{props.title}</h1>
      {props.texts.map((text) => (
        <p key={text}>{text}</p>
      ))}
      {props.children && <div class={css.actions}>{props.children}</div>}
    </div>
  );
}

function Unreachable({ view }: { view: View }) {
  const { state, words, tryNow } = view;
  const { t } = words;
  const why = state.linkingSince === undefined ? (state.lost?.why ?? "starting") : "whatsapp";
  const nextTryAt = state.lost?.nextTryAt;
  return (
    <div class={css.one}>
      <h1 {...FOCUS_TARGET}>{why === "network" ? t("unreachable.title") : t("loading.title")}</h1>
      <p>{t(why === "network" ? "unreachable.body" : `unreachable.${why}`)}</p>
      {state.lost && (
        <>
          {/* The place is kept while a try runs. */}
          <p class={css.strong}>
            {nextTryAt === undefined
              ? "\u00a0"
              : t("unreachable.nextTry", { n: secondsUntil(nextTryAt, state.now) })}
          </p>
          <div class={css.actions}>
            <Button size="big" onClick={tryNow}>
              {t("unreachable.tryNow")}
            </Button>
          </div>
        </>
      )}
    </div>
  );
}

function Wait({ view }: { view: View }) {
  const { state, words } = view;
  const { t, language } = words;
  const until = state.blockedUntil ?? state.now;
  const left = secondsUntil(until, state.now);
  const time = formatTime(until, state.now, language, state.facts?.company.timezone ?? "UTC");
  return (
    <div class={css.one}>
      <h1 {...FOCUS_TARGET}>{t("wait.title", { n: Math.ceil(left / 60) })}</h1>
      <p>{t("wait.body", { n: CODES_PER_HOUR, time })}</p>
      <p class={css.clock} aria-hidden="true">
        {formatClock(left)}
      </p>
      <LifeLine segments={[{ weight: 1, remaining: left / PAUSE_SECONDS }]} isLow={false} />
      <p class={css.leave}>{t("wait.leave")}</p>
    </div>
  );
}

function Refused({ view }: { view: View }) {
  const { state, words } = view;
  const { t } = words;
  const { outcome } = state;
  if (outcome?.kind !== "refused" || outcome.why === "off") {
    return <One title={t("refused.offTitle")} texts={[t("refused.offBody")]} />;
  }
  const texts = [t("refused.otherBody")];
  if (outcome.reference) texts.push(t("page.reference", { ref: outcome.reference }));
  return <One title={t("refused.otherTitle")} texts={texts} />;
}

function Connected({ view }: { view: View }) {
  const { state, words } = view;
  const { t } = words;
  const returnUrl = safeUrl(state.facts?.company.returnUrl);
  return (
    <One
      title={t("connected.title", { phone: phoneName(view) })}
      texts={[t("connected.body"), t("connected.keep")]}
    >
      {returnUrl && (
        <a class={css.done} href={returnUrl}>
          {t("connected.done")}
        </a>
      )}
    </One>
  );
}

/** Only web addresses: the company's setting must not run as a script. */
function safeUrl(text: string | null | undefined): string | undefined {
  return text && /^https?:\/\//i.test(text) ? text : undefined;
}
