/** A straight line through samples. */

export type Line = {
  /** Units of y per unit of x; NaN of less than two samples. */
  slope: number;
  /** Standard error of the slope, as far as the samples scatter at random. */
  error: number;
};

/** By least squares. */
export function fitLine(points: readonly { x: number; y: number }[]): Line {
  const count = points.length;
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / count;
  const x = mean(points.map((point) => point.x));
  const y = mean(points.map((point) => point.y));
  const spread = points.reduce((sum, point) => sum + (point.x - x) ** 2, 0);
  const slope = points.reduce((sum, point) => sum + (point.x - x) * (point.y - y), 0) / spread;
  const rest = points.reduce((sum, point) => sum + (point.y - y - slope * (point.x - x)) ** 2, 0);
  return { slope, error: Math.sqrt(rest / Math.max(1, count - 2) / spread) };
}
