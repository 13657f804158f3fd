import { batch } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { plugins } from '../../api/catalogue.ts';
import { api } from '../../api/client.ts';
import { asApiError } from '../../api/problem.ts';
import { href } from '../../base.ts';
import { onEvent, views } from '../../live/store.ts';
import { location, navigate, paths } from '../../router/router.ts';
import { useShortcuts } from '../../shell/shortcuts.ts';
import { isProblem, severity } from '../../status/status.ts';
import { serverNow } from '../../time/clock.ts';
import { EmptyState } from '../../ui/empty-state.tsx';
import { ProblemBox } from '../../ui/problem.tsx';
import { useRequest } from '../../ui/request.ts';
import { PageHeading } from '../heading.tsx';
import { Charts } from './charts.tsx';
import { Conditions } from './conditions.tsx';
import { Dependencies, Facts } from './facts.tsx';
import { Failure } from './failure.tsx';
import { MonitorHeader } from './header.tsx';
import { Kpis } from './kpis.tsx';
import { readRange } from './range.ts';
import { RangePicker } from './range-picker.tsx';
import { Readings } from './readings.tsx';
import { Results } from './results.tsx';
import { Timeline } from './timeline.tsx';

const WINDOWS = ['24h', '7d', '30d', '90d'];
const EVENTS = 200;
const RELOAD_MS = 5000;

export function MonitorPage({ id }: { id: string }) {
  const monitor = useRequest((signal) => api.monitor(id, signal), [id]);
  const uptime = useRequest((signal) => api.uptime(id, WINDOWS, signal), [id]);
  const events = useRequest((signal) => api.events(id, { limit: EVENTS }, signal), [id]);

  const view = views.value.get(id);
  const lastCheck = view?.item.last_check ?? null;
  const fresh = useThrottled(lastCheck, RELOAD_MS);
  useEffect(() => {
    if (fresh === null || monitor.loading.peek()) return;
    monitor.reload();
    uptime.reload();
  }, [fresh]);
  useEffect(
    () =>
      onEvent((event) => {
        if (event.monitor !== id) return;
        batch(() => {
          monitor.reload();
          events.reload();
        });
      }),
    [id],
  );
  useShortcuts({ n: () => jump(id, 1), p: () => jump(id, -1) });

  // A relative range ends at the newest check, so that a chart is fetched again when there is something new.
  const { query } = location.value;
  const end = query.get('live') === '0' ? null : fresh;
  const { value: shown } = monitor.data;
  const created = Date.parse(shown?.created_at ?? '') || 0;
  const range = useMemo(() => readRange(query, serverNow(), created), [query.toString(), end, created]);

  if (!shown) return <Missing error={monitor.error.value} onRetry={monitor.reload} />;
  const status = view?.status ?? shown.status;
  const plugin = plugins.value?.find(({ kind }) => kind === shown.kind);
  const history = events.data.value?.items ?? [];
  const failure = <Failure monitor={shown} plugin={plugin} fresh={fresh} />;
  return (
    <div class="page page-monitor">
      <MonitorHeader monitor={shown} view={view} plugin={plugin} onChanged={monitor.reload} />
      <Kpis monitor={shown} view={view} uptime={uptime.data.value?.items ?? []} plugin={plugin} />
      <div class="monitor-columns">
        <div class="monitor-main">
          <Conditions monitor={shown} plugin={plugin} />
          {isProblem(status) && failure}
          <section class="card section" aria-labelledby="history">
            <div class="section-head">
              <h2 id="history">History</h2>
              <RangePicker range={range} />
            </div>
            <Charts monitor={shown} plugin={plugin} range={range} events={history} />
          </section>
          {!isProblem(status) && failure}
          <Readings id={id} fresh={fresh} plugin={plugin} />
          <Results id={id} fresh={fresh} />
        </div>
        <aside class="monitor-side" aria-label="About this monitor">
          <Timeline events={history} plugin={plugin} more={events.data.value?.next_cursor !== null} />
          <Dependencies monitor={shown} />
          <Facts monitor={shown} />
        </aside>
      </div>
    </div>
  );
}

function Missing({ error, onRetry }: { error: unknown; onRetry: () => void }) {
  if (error === null) {
    return (
      <div class="page">
        <PageHeading title="Monitor" class="sr-only" />
        <p class="waiting" role="status">
          <span class="spinner" aria-hidden="true" /> Loading the monitor
        </p>
      </div>
    );
  }
  return (
    <div class="page page-narrow">
      <PageHeading
        title={asApiError(error).status === 404 ? 'No such monitor' : 'Monitor'}
        class="page-title"
      />
      {asApiError(error).status === 404 ? (
        <EmptyState title="This monitor does not exist">
          <p>It was deleted, or the address is mistyped.</p>
          <a class="button button-primary" href={href(paths.list)}>
            To the monitors
          </a>
        </EmptyState>
      ) : (
        <ProblemBox error={error} onRetry={onRetry} />
      )}
    </div>
  );
}

/** A value that follows another one at most once in a while, and never loses the last. */
function useThrottled<T>(value: T, everyMs: number): T {
  const shown = useRef(value);
  const changedAt = useRef(0);
  const rest = everyMs - (Date.now() - changedAt.current);
  if (shown.current !== value && rest <= 0) {
    shown.current = value;
    changedAt.current = Date.now();
  }
  return shown.current;
}

/** The next monitor in trouble, in the order of the list. */
function jump(from: string, step: 1 | -1): void {
  const troubled = [...views.value.values()]
    .filter(({ status, item }) => isProblem(status) || item.id === from)
    .toSorted(
      (left, right) =>
        severity(left.status) - severity(right.status) || left.item.name.localeCompare(right.item.name),
    );
  const at = troubled.findIndex(({ item }) => item.id === from);
  const next = troubled[(at + step + troubled.length) % troubled.length];
  if (next && next.item.id !== from) void navigate(paths.monitor(next.item.id));
}
