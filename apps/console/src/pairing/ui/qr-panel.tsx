import { Button } from "../../components/button.tsx";
import { LifeLine } from "../../components/life-line.tsx";
import { QrImage, QrSpace } from "../../components/qr-image.tsx";
import { Steps } from "../../components/steps.tsx";
import { secondsUntil } from "../clock.ts";
import { ENDING_SECONDS } from "../screen.ts";
import type { PageAttempt } from "../state.ts";
import { FOCUS_TARGET, type View } from "./view.ts";
import css from "./panels.module.css";

/** How long the first, second and third QR live, as shares of the line. */
const WEIGHTS = [60, 20, 20];

/** The first tab: a QR that changes twice, or the way to get one. */
export function QrPanel({ view }: { view: View }) {
  const { screen, state, words, dispatch } = view;
  const { pieces, t } = words;
  const isShown = screen === "qr" || screen === "qr-last";
  const steps = [
    pieces("steps.open"),
    pieces("steps.menu"),
    pieces("steps.linked"),
    pieces("steps.scan"),
  ];
  return (
    <div class={css.columns}>
      <div class={css.method}>
        <QrMethod view={view} />
      </div>
      <div class={css.steps}>
        <Steps
          title={t("page.onYourPhone")}
          steps={steps}
          current={isShown ? steps.length - 1 : undefined}
        />
        {!state.isQrOnRequest && screen !== "failed" && (
          <p class={css.same}>
            {t("qr.samePhone")}{" "}
            <button
              type="button"
              class={css.link}
              onClick={() => dispatch({ type: "choose-tab", tab: "code" })}
            >
              {t("qr.samePhoneGo")}
            </button>
          </p>
        )}
      </div>
    </div>
  );
}

function QrMethod({ view }: { view: View }) {
  const { screen, state, words, dispatch } = view;
  const { t } = words;
  const { attempt } = state;
  if ((screen === "qr" || screen === "qr-last") && attempt?.qr) {
    return <LiveQr view={view} attempt={attempt} qr={attempt.qr} />;
  }
  if (screen === "failed") {
    return (
      <>
        <h2 class={css.title} {...FOCUS_TARGET}>
          {t("failed.qrTitle")}
        </h2>
        <p class={css.hint}>{t("failed.qrBody")}</p>
        <div class={css.actions}>
          <Button kind="main" size="big" onClick={() => dispatch({ type: "show-qr" })}>
            {t("failed.again")}
          </Button>
          <Button kind="bare" onClick={() => dispatch({ type: "change-number" })}>
            {t("qr.samePhoneGo")}
          </Button>
        </div>
      </>
    );
  }
  if (screen === "qr-ask") {
    return (
      <QrSpace>
        <p>{askText(view)}</p>
        <Button kind="main" size="big" onClick={() => dispatch({ type: "show-qr" })}>
          {t("qr.showAnyway")}
        </Button>
      </QrSpace>
    );
  }
  return (
    <>
      <QrSpace>
        <p>{t("qr.preparing")}</p>
      </QrSpace>
      <LifeLine segments={lifeOf(attempt, 1)} isLow={false} />
      {/* the row below a QR, so that nothing moves when it comes */}
      <div class={`${css.row} ${css.below}`} />
    </>
  );
}

function askText({ state, words: { t } }: View): string {
  if (state.hasQrEnded) return t("qr.ended");
  return state.isQrOnRequest ? t("qr.samePhone") : t("page.lead");
}

function LiveQr({ view, attempt, qr }: { view: View; attempt: PageAttempt; qr: string }) {
  const { state, words, screen } = view;
  const { t } = words;
  const left = secondsUntil(attempt.expiresAt, state.now);
  const isLast = screen === "qr-last";
  const life = Math.max(1, attempt.expiresAt - attempt.issuedAt);
  return (
    <>
      <QrImage text={qr} alt={t("qr.alt")} />
      <LifeLine
        segments={lifeOf(attempt, (attempt.expiresAt - state.now) / life)}
        isLow={isLast && left <= ENDING_SECONDS}
      />
      <div class={`${css.row} ${css.below}`}>
        <b>{t("qr.attempt", { k: attempt.k, max: attempt.max })}</b>
        <span>{isLast ? t("qr.codeIn", { n: left }) : t("qr.newIn", { n: left })}</span>
      </div>
    </>
  );
}

/** Past QRs are empty, the present one shortens, the coming ones are full. */
function lifeOf(attempt: PageAttempt | undefined, remaining: number) {
  const present = Math.max(1, attempt?.k ?? 1);
  return WEIGHTS.map((weight, index) => ({
    weight,
    remaining: index + 1 < present ? 0 : index + 1 === present ? remaining : 1,
  }));
}
