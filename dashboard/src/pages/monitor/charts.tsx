import { useMemo } from 'preact/hooks';
import { api } from '../../api/client.ts';
import type { Monitor, MonitorEvent, Plugin } from '../../api/types.ts';
import { Chart } from '../../charts/chart.tsx';
import { location, setQuery } from '../../router/router.ts';
import { serverNow } from '../../time/clock.ts';
import { ProblemBox } from '../../ui/problem.tsx';
import { useRequest } from '../../ui/request.ts';
import { chartsOf, namedMetrics, outagesOf } from './charts-model.ts';
import { absoluteQuery, type Range, relativeQuery } from './range.ts';
import { drawn } from './readings-model.ts';

interface Props {
  monitor: Monitor;
  plugin: Plugin | undefined;
  range: Range;
  events: readonly MonitorEvent[];
}

const MOST_POINTS = 400;

export function Charts({ monitor, plugin, range, events }: Props) {
  const asked = location.value.query.get('charts') ?? '';
  const metrics = useMemo(
    () => drawn(namedMetrics(plugin?.metrics ?? []), plugin?.headline, asked.split(',')),
    [plugin, asked],
  );
  const history = useRequest(
    (signal) =>
      api.history(
        monitor.id,
        metrics.map(({ name }) => name),
        {
          from: new Date(range.from).toISOString(),
          to: new Date(range.to).toISOString(),
          points: Math.min(MOST_POINTS, Math.max(60, Math.round(window.innerWidth / 3))),
        },
        signal,
      ),
    [monitor.id, metrics, range],
  );
  const { value: histories } = history.data;
  const charts = useMemo(
    () =>
      histories &&
      chartsOf({
        metrics,
        histories,
        thresholds: monitor.thresholds,
        outages: outagesOf(events, serverNow()),
        from: range.from,
        to: range.to,
      }),
    [histories, events, JSON.stringify(monitor.thresholds)],
  );
  const zoom = (from: number, to: number) =>
    setQuery(absoluteQuery(from * 1000, to * 1000), { replace: false });
  const zoomOut = () => setQuery(relativeQuery(range.key), { replace: false });

  if (history.error.value) return <ProblemBox error={history.error.value} onRetry={history.reload} />;
  if (!charts) {
    return (
      <p class="waiting" role="status">
        <span class="spinner" aria-hidden="true" /> Loading the history
      </p>
    );
  }
  const nothing = charts.others.length === 0 && (charts.phases === null || charts.phases.times.length === 0);
  if (nothing) return <NoData monitor={monitor} range={range} />;
  return (
    <div class="charts" aria-busy={history.loading.value}>
      {charts.phases && (
        <div class="chart-block">
          <h3>{charts.phases.title} by phase</h3>
          <Chart spec={charts.phases} height={260} onZoom={zoom} onZoomOut={zoomOut} />
        </div>
      )}
      <div class="chart-grid">
        {charts.others.map((spec) => (
          <div key={spec.title} class="chart-block">
            <h3>{spec.title}</h3>
            <Chart spec={spec} height={150} onZoom={zoom} onZoomOut={zoomOut} />
          </div>
        ))}
      </div>
    </div>
  );
}

/** An empty range says why, and leads to where there is something. */
function NoData({ monitor, range }: { monitor: Monitor; range: Range }) {
  const last = monitor.last_check === null ? null : Date.parse(monitor.last_check);
  return (
    <div class="no-data">
      <p>{last === null ? 'It has not been checked yet.' : 'Nothing was measured in this range.'}</p>
      {last !== null && (last < range.from || last > range.to) && (
        <button
          type="button"
          class="button button-small"
          onClick={() => {
            const half = (range.to - range.from) / 2;
            setQuery(absoluteQuery(last - half, last + half), { replace: false });
          }}
        >
          Go to the last check
        </button>
      )}
    </div>
  );
}
