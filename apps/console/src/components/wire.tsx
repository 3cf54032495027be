import css from "./wire.module.css";

/** Still, being made, there, broken, wrong, stopped. */
export type WireState = "idle" | "live" | "up" | "cut" | "bad" | "stop";

const MARKS: Partial<Record<WireState, string>> = {
  bad: "M3 3L13 13M13 3L3 13",
  stop: "M8 1V15",
};

/**
 * The line between the phone and the company. Its state is told in words elsewhere on the page; here it is a
 * picture with the two names.
 */
export function Wire(props: { state: WireState; left: string; right: string }) {
  const { state, left, right } = props;
  const mark = MARKS[state];
  return (
    <div class={`${css.wire} ${css[state]}`}>
      <b class={css.end}>{left}</b>
      <span class={css.line} aria-hidden="true">
        <i class={css.part} />
        {state === "up" && <i class={css.dot} />}
        {mark && (
          <svg class={css.mark} viewBox="0 0 16 16">
            <path d={mark} />
          </svg>
        )}
        {state !== "idle" && state !== "live" && <i class={`${css.part} ${css.second}`} />}
      </span>
      <b class={`${css.end} ${css.company}`}>{right}</b>
    </div>
  );
}
