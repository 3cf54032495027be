import css from "./life-line.module.css";

/** @property weight share of the width · remaining 0 to 1 */
export type LifeSegment = { weight: number; remaining: number };

/** Remaining life as a line that shortens. The time itself is in words beside it. */
export function LifeLine({ segments, isLow }: { segments: LifeSegment[]; isLow: boolean }) {
  return (
    <div class={`${css.life} ${isLow ? css.low : ""}`} aria-hidden="true">
      {segments.map(({ weight, remaining }, index) => (
        <i
          key={index}
          style={{
            "--weight": String(weight),
            "--remaining": `${Math.min(1, Math.max(0, remaining)) * 100}%`,
          }}
        />
      ))}
    </div>
  );
}
