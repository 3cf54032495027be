import type { Piece } from "../strings/catalogue.ts";
import css from "./steps.module.css";

/** What to do on the phone, numbered. @param current index of the filled one */
export function Steps(props: {
  title: string;
  steps: Piece[][];
  current?: number | undefined;
  tip?: string;
}) {
  return (
    <section class={css.steps} aria-labelledby="steps-title">
      <h2 id="steps-title">{props.title}</h2>
      <ol>
        {props.steps.map((pieces, index) => (
          <li
            key={index}
            class={index === props.current ? css.now : undefined}
            aria-current={index === props.current ? "step" : undefined}
          >
            {pieces.map(({ text, menu }, piece) => (menu ? <b key={piece}>{text}</b> : text))}
          </li>
        ))}
      </ol>
      {props.tip && <p class={css.tip}>{props.tip}</p>}
    </section>
  );
}
