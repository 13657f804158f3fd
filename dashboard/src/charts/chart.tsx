import { computed, signal, useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { theme } from '../theme/theme.ts';
import { now } from '../time/clock.ts';
import { absolute, compact } from '../time/format.ts';
import { zone } from '../time/zone.ts';
import { Icon } from '../ui/icons.tsx';
import { ScrollRegion } from '../ui/scroll-region.tsx';
import { valueText } from '../units/format.ts';
import { summarise } from '../units/summary.ts';
import { toCsv } from './series.ts';
import type { ChartSeries, ChartSpec } from './spec.ts';
import type { DrawnChart } from './uplot-chart.ts';

interface Props {
  spec: ChartSpec;
  height: number;
  onZoom: (from: number, to: number) => void;
  onZoomOut: () => void;
}

const systemDark = signal(false);
const darkQuery = window.matchMedia('(prefers-color-scheme: dark)');
systemDark.value = darkQuery.matches;
darkQuery.addEventListener('change', () => {
  systemDark.value = darkQuery.matches;
});
const colors = computed(() =>
  theme.value === 'system' ? (systemDark.value ? 'dark' : 'light') : theme.value,
);

/** A chart with what a canvas cannot give: a summary in words, the numbers as a table and as a file. */
export function Chart({ spec, height, onZoom, onZoomOut }: Props) {
  const target = useRef<HTMLDivElement>(null);
  const hovered = useSignal<number | null>(null);
  const failed = useSignal(false);
  const tableShown = useSignal(false);
  const lead = spec.lines[0] ?? spec.stacked[0];
  const all = [...spec.stacked, ...spec.lines];
  const summary = useMemo(() => summaryText(lead, spec.unit), [lead, spec.unit]);

  const drawn = useRef<DrawnChart | null>(null);
  const newest = useRef(spec);
  newest.current = spec;
  const latest = useRef({ onZoom, onZoomOut });
  latest.current = { onZoom, onZoomOut };
  const shape = JSON.stringify([spec.unit, all.map(({ label, color }) => [label, color]), height]);
  useEffect(() => {
    let gone = false;
    import('./uplot-chart.ts')
      .then(({ draw }) => {
        if (gone || !target.current) return;
        drawn.current = draw(target.current, newest.current, {
          height,
          zone: zone.value,
          onZoom: (from, to) => latest.current.onZoom(from, to),
          onZoomOut: () => latest.current.onZoomOut(),
          onHover: (index) => {
            hovered.value = index;
          },
        });
      })
      .catch(() => {
        failed.value = true;
      });
    return () => {
      gone = true;
      drawn.current?.destroy();
      drawn.current = null;
    };
  }, [shape, zone.value, colors.value]);
  useEffect(() => drawn.current?.update(spec), [spec]);

  if (failed.value) return <NewVersion />;
  return (
    <figure class="chart">
      <div
        ref={target}
        class="chart-canvas"
        role="img"
        aria-label={`${spec.title}: ${summary}`}
        style={{ minHeight: `${height}px` }}
      />
      <figcaption>
        <Readout spec={spec} series={all} index={hovered.value} />
        <p class="chart-summary">{summary}</p>
        <div class="chart-tools">
          <button
            type="button"
            class="button button-small button-quiet"
            aria-expanded={tableShown.value}
            onClick={() => {
              tableShown.value = !tableShown.value;
            }}
          >
            <Icon name="table" />
            {tableShown.value ? 'Hide data table' : 'Show data table'}
            <span class="sr-only"> of {spec.title}</span>
          </button>
          <button type="button" class="button button-small button-quiet" onClick={() => saveCsv(spec, all)}>
            <Icon name="download" />
            CSV<span class="sr-only"> of {spec.title}</span>
          </button>
        </div>
      </figcaption>
      {tableShown.value && <DataTable spec={spec} series={all} />}
    </figure>
  );
}

function summaryText(series: ChartSeries | undefined, unit: string): string {
  const summary = series && summarise(series.values);
  if (!summary) return 'no data in this range';
  const { min, mean, p95, max, last } = summary;
  return [
    ['min', min],
    ['avg', mean],
    ['p95', p95],
    ['max', max],
    ['last', last],
  ]
    .map(([name, value]) => `${name} ${valueText(Number(value), unit)}`)
    .join(' · ');
}

/** The legend, which shows the values under the pointer, or the newest ones. */
function Readout({
  spec,
  series,
  index,
}: {
  spec: ChartSpec;
  series: readonly ChartSeries[];
  index: number | null;
}) {
  const at = index ?? spec.times.length - 1;
  const time = spec.times[at];
  if (series.length < 2 && spec.thresholds.length === 0 && index === null) return null;
  return (
    <ul class="legend">
      {series.map(({ label, color, values }) => (
        <li key={label}>
          <span class={`swatch swatch-${color}`} aria-hidden="true" />
          {label} <strong>{valueText(values[at], spec.unit)}</strong>
        </li>
      ))}
      {spec.thresholds.map(({ label, color }) => (
        <li key={label}>
          <span class={`swatch swatch-dashed swatch-${color}`} aria-hidden="true" />
          {label}
        </li>
      ))}
      {index !== null && time !== undefined && (
        <li class="dim">{compact(new Date(time * 1000), zone.value, new Date(now.peek()))}</li>
      )}
    </ul>
  );
}

const MOST_ROWS = 500;

function DataTable({ spec, series }: { spec: ChartSpec; series: readonly ChartSeries[] }) {
  const rows = spec.times
    .map((time, index) => ({ time, values: series.map(({ values }) => values[index] ?? null) }))
    .filter(({ values }) => values.some((value) => value !== null))
    .toReversed();
  return (
    <ScrollRegion label={`Data of ${spec.title}`}>
      <table class="table">
        <caption class="sr-only">{spec.title}, newest first</caption>
        <thead>
          <tr>
            <th scope="col">Time</th>
            {series.map(({ label }) => (
              <th key={label} scope="col" class="number">
                {label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, MOST_ROWS).map(({ time, values }) => (
            <tr key={time}>
              <th scope="row">{absolute(new Date(time * 1000), zone.value)}</th>
              {values.map((value, index) => (
                <td key={series[index]?.label} class="number">
                  {valueText(value, spec.unit)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollRegion>
  );
}

function saveCsv(spec: ChartSpec, series: readonly ChartSeries[]): void {
  const blob = new Blob([toCsv(spec.times, series)], { type: 'text/csv' });
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = `${spec.title.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}.csv`;
  link.click();
  // The browser has taken the file once the click is over; a moment more is for slow ones.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** After an upgrade the old page asks for a script that the new server no longer has. */
function NewVersion() {
  return (
    <div class="notice notice-warn">
      <p class="notice-text">
        The chart could not be loaded. The server may have been upgraded since this page was opened.
      </p>
      <button type="button" class="button button-small" onClick={() => window.location.reload()}>
        Reload
      </button>
    </div>
  );
}
