import type { Column } from './series.ts';

export interface ChartSeries {
  label: string;
  /** The name of the colour token, without the dashes. */
  color: string;
  values: Column;
}

export interface ChartSpec {
  title: string;
  unit: string;
  times: number[];
  /** Drawn on top of each other as areas. */
  stacked: ChartSeries[];
  /** Drawn as lines. */
  lines: ChartSeries[];
  from: number;
  to: number;
  thresholds: { label: string; value: number; color: string }[];
  /** Spans in which the monitor was down, shaded behind the lines. */
  outages: { from: number; to: number }[];
}
