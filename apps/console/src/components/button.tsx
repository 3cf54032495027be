import type { ButtonHTMLAttributes, ComponentChildren } from "preact";
import css from "./button.module.css";

type ButtonProps = Omit<ButtonHTMLAttributes, "size" | "class"> & {
  /** the one next step is `main`; there is never more than one on a screen */
  kind?: "main" | "plain" | "bare";
  size?: "s" | "big";
  /** its action runs: it keeps the focus and does nothing */
  isBusy?: boolean;
  children: ComponentChildren;
};

export function Button({
  kind = "plain",
  size = "s",
  isBusy = false,
  type = "button",
  onClick,
  children,
  ...rest
}: ButtonProps) {
  return (
    <button
      {...rest}
      type={type}
      class={`${css.button} ${css[kind]} ${css[size]}`}
      aria-disabled={isBusy || undefined}
      {...(isBusy || !onClick ? {} : { onClick })}
    >
      {children}
    </button>
  );
}
