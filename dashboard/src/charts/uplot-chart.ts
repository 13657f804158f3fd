import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { dayMonth, hourMinute } from '../time/format.ts';
import { valueText } from '../units/format.ts';
import { stack } from './series.ts';
import type { ChartSpec } from './spec.ts';

export interface ChartParts {
  height: number;
  zone: string;
  /** The index of the moment under the pointer, null when it is elsewhere. */
  onHover: (index: number | null) => void;
  onZoom: (from: number, to: number) => void;
  onZoomOut: () => void;
}

export interface DrawnChart {
  /** Shows other numbers of the same series; anything else about a chart needs a new one. */
  update: (spec: ChartSpec) => void;
  destroy: () => void;
}

const SYNC = 'monitor';

/** Steps that read well in units people do not count in tens. */
const STEPS: Record<string, number[]> = {
  bytes: Array.from({ length: 50 }, (_, power) => 2 ** power),
  seconds: [
    ...[-6, -5, -4, -3, -2, -1].flatMap((power) => [1, 2, 5].map((step) => step * 10 ** power)),
    ...[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200],
    ...[1, 2, 5, 7, 14, 30, 60, 90, 180, 365].map((days) => days * 86_400),
  ],
};

export function draw(target: HTMLElement, first: ChartSpec, parts: ChartParts): DrawnChart {
  let spec = first;
  const color = paint(target);
  const { zone } = parts;
  const axis: uPlot.Axis = {
    stroke: color('dim'),
    grid: { stroke: color('line'), width: 1 },
    ticks: { show: false },
    font: `12px ${getComputedStyle(target).fontFamily}`,
  };
  // A lone measurement between two gaps has no line, so points are drawn where there are few.
  const points = { show: () => spec.times.length < 12, size: 5 };
  const options: uPlot.Options = {
    width: Math.max(200, target.clientWidth),
    height: parts.height,
    legend: { show: false },
    padding: [10, 26, 0, 0],
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
    scales: {
      x: { time: true, range: () => [spec.from, spec.to] },
      y: { range: (_plot, low, high) => yRange(low, high) },
    },
    axes: [
      { ...axis, size: 30, space: 72, values: (_plot, splits) => timeLabels(splits, zone) },
      {
        ...axis,
        size: 68,
        space: 36,
        ...(STEPS[spec.unit] ? { incrs: STEPS[spec.unit] } : {}),
        values: (_plot, splits) => splits.map((value) => valueText(value, spec.unit)),
      },
    ],
    series: [
      {},
      ...spec.stacked.map(
        ({ label, color: token }, index): uPlot.Series => ({
          label,
          stroke: color('card'),
          width: 1,
          ...(index === 0 ? { fill: color(token) } : {}),
          points: { show: false },
        }),
      ),
      ...spec.lines.map(
        ({ label, color: token }): uPlot.Series => ({
          label,
          stroke: color(token),
          width: 1.75,
          points,
        }),
      ),
    ],
    bands: spec.stacked
      .slice(1)
      .map(({ color: token }, index) => ({ series: [index + 2, index + 1], fill: color(token) })),
    cursor: {
      sync: { key: SYNC },
      drag: { x: true, y: false, setScale: false, uni: 12 },
      points: { show: spec.stacked.length === 0 },
      bind: {
        dblclick: () => () => {
          parts.onZoomOut();
          return null;
        },
      },
    },
    hooks: {
      drawClear: [(plot) => shade(plot, spec, color('bad-soft'))],
      draw: [(plot) => rule(plot, spec, color)],
      setCursor: [(plot) => parts.onHover(plot.cursor.idx ?? null)],
      setSelect: [(plot) => select(plot, parts)],
    },
  };
  const plot = new uPlot(options, dataOf(spec), target);
  const observer = new ResizeObserver(() => {
    const width = target.clientWidth;
    if (width > 0 && width !== plot.width) plot.setSize({ width, height: parts.height });
  });
  observer.observe(target);
  return {
    update(next) {
      // Anyone who is just marking a range must not have the chart move below the pointer.
      if (plot.select.width > 0) return;
      spec = next;
      plot.setData(dataOf(spec));
    },
    destroy() {
      observer.disconnect();
      plot.destroy();
    },
  };
}

function dataOf({ times, stacked, lines }: ChartSpec): uPlot.AlignedData {
  return [times, ...stack(stacked.map(({ values }) => values)), ...lines.map(({ values }) => values)];
}

/** Starts at zero, so that the height of a line means something, and leaves room above. */
function yRange(low: number | null, high: number | null): [number, number] {
  const top = high ?? 0;
  const bottom = Math.min(0, low ?? 0);
  return top === bottom ? [bottom, bottom + 1] : [bottom, top + (top - bottom) * 0.08];
}

function timeLabels(splits: readonly number[], zone: string): string[] {
  const step = (splits[1] ?? 0) - (splits[0] ?? 0);
  let lastDay = '';
  return splits.map((seconds) => {
    const at = new Date(seconds * 1000);
    const day = dayMonth(at, zone);
    const fresh = day !== lastDay;
    lastDay = day;
    const time = hourMinute(at, zone);
    if (step >= 86_400) return day;
    return fresh && time === '00:00' ? day : time;
  });
}

function shade(plot: uPlot, { outages }: ChartSpec, fill: string): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.fillStyle = fill;
  for (const { from, to } of outages) {
    const left = clamp(plot.valToPos(from, 'x', true), bbox.left, bbox.left + bbox.width);
    const right = clamp(plot.valToPos(to, 'x', true), bbox.left, bbox.left + bbox.width);
    if (right > left) ctx.fillRect(left, bbox.top, Math.max(1, right - left), bbox.height);
  }
  ctx.restore();
}

function rule(plot: uPlot, { thresholds }: ChartSpec, color: (token: string) => string): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
  for (const { value, color: token } of thresholds) {
    const y = plot.valToPos(value, 'y', true);
    if (y < bbox.top || y > bbox.top + bbox.height) continue;
    ctx.strokeStyle = color(token);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  ctx.restore();
}

function select(plot: uPlot, { onZoom }: ChartParts): void {
  const { left, width } = plot.select;
  if (width < 8) return;
  const from = plot.posToVal(left, 'x');
  const to = plot.posToVal(left + width, 'x');
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  // Charts that follow the cursor of another are told of its selection too; only the one dragged on acts.
  if (plot.over.matches(':hover')) onZoom(from, to);
}

/** A canvas knows no tokens: it needs the colour a token stands for in the theme of the moment. */
function paint(target: HTMLElement): (token: string) => string {
  const known = new Map<string, string>();
  return (token) => {
    let value = known.get(token);
    if (value === undefined) {
      const probe = document.createElement('span');
      probe.style.color = `var(--${token})`;
      target.append(probe);
      value = getComputedStyle(probe).color;
      probe.remove();
      known.set(token, value);
    }
    return value;
  };
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
