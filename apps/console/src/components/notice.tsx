import type { ComponentChildren } from "preact";
import css from "./notice.module.css";

/** A remark with a bar in the colour of a state. */
export function Notice(props: {
  tone?: "connecting" | "disconnected" | "error" | "blocked" | "plain";
  children: ComponentChildren;
}) {
  return <div class={`${css.notice} ${css[props.tone ?? "plain"]}`}>{props.children}</div>;
}
