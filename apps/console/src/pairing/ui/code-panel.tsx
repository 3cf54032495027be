import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "../../components/button.tsx";
import { LifeLine } from "../../components/life-line.tsx";
import { PairCode } from "../../components/pair-code.tsx";
import { Steps } from "../../components/steps.tsx";
import { formatPhone } from "../../phone-number/format.ts";
import { secondsUntil } from "../clock.ts";
import { ENDING_SECONDS, type Screen } from "../screen.ts";
import type { PageAttempt } from "../state.ts";
import { CODE_SECONDS } from "./code-seconds.ts";
import { PhoneForm } from "./lazy-phone-form.tsx";
import { FOCUS_TARGET, type View } from "./view.ts";
import css from "./panels.module.css";

/** Screens of the code tab without code and without form. */
const FORMLESS: ReadonlySet<Screen> = new Set(["expired", "failed", "switching"]);

/** The second tab: a number, then a code for it, then whatever became of that. */
export function CodePanel({ view }: { view: View }) {
  const { screen, words } = view;
  const { pieces, t } = words;
  const isTyping = screen === "code" || screen === "code-ending" || screen === "switched";
  const hasForm = !isTyping && !FORMLESS.has(screen);
  const steps = [
    pieces("steps.open"),
    pieces("steps.menu"),
    pieces("steps.linked"),
    pieces("steps.chooseCode"),
    pieces("steps.type"),
  ];
  return (
    <div class={`${css.columns} ${css.wide} ${hasForm ? css.stepsBetween : ""}`}>
      <div class={css.method}>
        <CodeMethod view={view} />
      </div>
      <div class={css.steps}>
        <Steps
          title={t("page.onYourPhone")}
          steps={steps}
          current={isTyping ? steps.length - 1 : undefined}
          tip={t("steps.notification")}
        />
      </div>
    </div>
  );
}

function CodeMethod({ view }: { view: View }) {
  const { screen, state, words, dispatch } = view;
  const { t } = words;
  const { attempt, outcome } = state;
  if (screen === "expired" && attempt) return <ExpiredCode view={view} attempt={attempt} />;
  if (screen === "failed") return <Failed view={view} />;
  if (screen === "switching") {
    const phone = attempt?.phone ? formatPhone(attempt.phone) : "";
    return <p class={css.waiting}>{t("switched.working", { phone })}</p>;
  }
  if ((screen === "code" || screen === "code-ending" || screen === "switched") && attempt) {
    return (
      <ShownCode
        view={view}
        attempt={attempt}
        onOther={() => dispatch({ type: "change-number" })}
      />
    );
  }
  if (screen === "not-on-whatsapp" && outcome?.kind === "not-on-whatsapp") {
    const phone = outcome.phone ? formatPhone(outcome.phone) : "";
    return (
      <>
        <div class={css.outcome}>
          <h2>{t("notOnWhatsApp.title", { phone })}</h2>
          <p>{t("notOnWhatsApp.body")}</p>
        </div>
        <PhoneForm view={view} />
      </>
    );
  }
  return <PhoneForm view={view} />;
}

function ShownCode(props: { view: View; attempt: PageAttempt; onOther: () => void }) {
  const { view, attempt } = props;
  const { words, state } = view;
  const { t } = words;
  const left = secondsUntil(attempt.expiresAt, state.now);
  const life = Math.max(1, attempt.expiresAt - attempt.issuedAt);
  return (
    <>
      <h2 class={css.title} {...FOCUS_TARGET}>
        {t("code.shownTitle")}
      </h2>
      <PairCode code={attempt.code ?? ""} />
      <LifeLine
        segments={[{ weight: 1, remaining: (attempt.expiresAt - state.now) / life }]}
        isLow={left <= ENDING_SECONDS}
      />
      <div class={css.row}>
        <b>{t("code.left", { n: left })}</b>
        {attempt.phone && <span>{t("code.shownFor", { phone: formatPhone(attempt.phone) })}</span>}
      </div>
      <p class={css.hint}>{t("code.noDash")}</p>
      <div class={css.actions}>
        <CopyButton view={view} code={attempt.code ?? ""} />
        <Button kind="bare" onClick={props.onOther}>
          {t("code.changeNumber")}
        </Button>
      </div>
      {sentText(view, attempt) && <p class={css.hint}>{sentText(view, attempt)}</p>}
    </>
  );
}

/** Whom else the code was sent to. The note above the tabs has said it already after a switch. */
function sentText({ state, words: { t } }: View, attempt: PageAttempt): string | undefined {
  const company = state.facts?.company;
  if (!company?.maskedEmail || attempt.switched) return undefined;
  const email = company.maskedEmail;
  if (!company.smsNotifications || !company.phone) return t("code.sentEmail", { email });
  return t("code.sentEmailSms", { email, phone: formatPhone(company.phone) });
}

const COPIED_MS = 2_000;

function CopyButton({ view, code }: { view: View; code: string }) {
  const { t } = view.words;
  const [result, setResult] = useState<"copied" | "failed">();
  const timer = useRef<ReturnType<typeof setTimeout>>();
  useEffect(() => () => clearTimeout(timer.current), []);

  async function copy(): Promise<void> {
    clearTimeout(timer.current);
    try {
      await navigator.clipboard.writeText(code.replace("-", ""));
      setResult("copied");
      view.alert(t("code.copied"));
      timer.current = setTimeout(() => setResult(undefined), COPIED_MS);
    } catch {
      setResult("failed");
      view.alert(t("code.copyFailed"));
    }
  }

  return (
    <>
      <Button kind="main" size="big" onClick={() => void copy()}>
        {result === "copied" ? t("code.copied") : t("code.copy")}
      </Button>
      {result === "failed" && <p class={css.copyFailed}>{t("code.copyFailed")}</p>}
    </>
  );
}

function ExpiredCode({ view, attempt }: { view: View; attempt: PageAttempt }) {
  const { state, words, dispatch } = view;
  const { t } = words;
  return (
    <>
      <h2 class={css.title} {...FOCUS_TARGET}>
        {t("code.expiredTitle")}
      </h2>
      <PairCode code={attempt.code ?? "\u00a0\u00a0\u00a0\u00a0-\u00a0\u00a0\u00a0\u00a0"} isDead />
      <LifeLine segments={[{ weight: 1, remaining: 0 }]} isLow={false} />
      <p class={css.hint}>{t("code.expiredBody", { n: CODE_SECONDS })}</p>
      <div class={css.actions}>
        <Button kind="main" size="big" onClick={() => askAgain(view, attempt.phone)}>
          {t("code.getNew")}
        </Button>
        <Button kind="bare" onClick={() => dispatch({ type: "show-qr" })}>
          {t("switched.backToQr")}
        </Button>
        <Button kind="bare" onClick={() => dispatch({ type: "change-number" })}>
          {t("code.changeNumber")}
        </Button>
      </div>
      {state.facts && <p class={css.hint}>{t("code.remaining", { n: state.facts.codesLeft })}</p>}
    </>
  );
}

function Failed({ view }: { view: View }) {
  const { words, dispatch, state } = view;
  const { t } = words;
  return (
    <>
      <h2 class={css.title} {...FOCUS_TARGET}>
        {t("failed.title")}
      </h2>
      <p class={css.hint}>{t("failed.body")}</p>
      <div class={css.actions}>
        <Button
          kind="main"
          size="big"
          onClick={() =>
            askAgain(view, state.outcome?.kind === "failed" ? state.outcome.phone : null)
          }
        >
          {t("failed.again")}
        </Button>
        <Button kind="bare" onClick={() => dispatch({ type: "show-qr" })}>
          {t("switched.backToQr")}
        </Button>
      </div>
    </>
  );
}

/** A fresh attempt for the same number; the form if it is not known. */
function askAgain({ dispatch }: View, phone: string | null): void {
  if (phone === null) dispatch({ type: "change-number" });
  else dispatch({ type: "ask-code", phone: `+${phone}` });
}
