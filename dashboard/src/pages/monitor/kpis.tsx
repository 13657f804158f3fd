import type { ComponentChildren } from 'preact';
import { api } from '../../api/client.ts';
import type { MetricInfo, Monitor, Plugin, UptimeWindow } from '../../api/types.ts';
import { alignBeats } from '../../live/beats.ts';
import { bucketEnd, bucketSeconds } from '../../live/store.ts';
import type { View } from '../../live/view.ts';
import { now, serverNow } from '../../time/clock.ts';
import { lasting } from '../../time/format.ts';
import { Ago } from '../../time/time.tsx';
import { HeartbeatBar } from '../../ui/heartbeat.tsx';
import { rangeText } from '../../ui/heartbeat-path.ts';
import { useRequest } from '../../ui/request.ts';
import { millisecondsText, uptimeText, valueText } from '../../units/format.ts';

interface Props {
  monitor: Monitor;
  view: View | undefined;
  uptime: readonly UptimeWindow[];
  plugin: Plugin | undefined;
}

export function Kpis({ monitor, view, uptime, plugin }: Props) {
  const expiry = plugin?.metrics.find(({ name }) => name.includes('.expires_in_'));
  const beats = view ? alignBeats(view.entry, bucketEnd.value, bucketSeconds.value).beats : '';
  return (
    <section class="card kpi-card" aria-label="Key figures">
      <dl class="kpis">
        {uptime.map((window) => (
          <Kpi
            key={window.window}
            label={`Uptime ${window.window.replace(/(\d)([a-z])/, '$1 $2')}`}
            note={downText(window)}
          >
            {uptimeText(window.uptime_ratio)}
          </Kpi>
        ))}
        <Kpi label="Latency" note={`every ${monitor.interval}`}>
          {millisecondsText(view?.item.latency_ms)}
        </Kpi>
        <Kpi label="Last check" note={<NextCheck time={monitor.next_check} />}>
          <Ago time={view?.item.last_check ?? monitor.last_check} />
        </Kpi>
        {expiry && <Expiry key={expiry.name} monitor={monitor} metric={expiry} />}
      </dl>
      {beats !== '' && (
        <div class="kpi-beats">
          <HeartbeatBar beats={beats} bucketSeconds={bucketSeconds.value} />
          <p class="beats-range dim">
            <span>{rangeText(beats.length, bucketSeconds.value)}</span>
            <span>now</span>
          </p>
        </div>
      )}
    </section>
  );
}

function Kpi({
  label,
  note,
  children,
}: {
  label: string;
  note?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <div class="kpi">
      <dt>{label}</dt>
      <dd>{children}</dd>
      {note && <dd class="kpi-note">{note}</dd>}
    </div>
  );
}

const DAY_MS = 86_400_000;

/** How long a certificate still holds, for kinds that measure it. */
function Expiry({ monitor, metric }: { monitor: Monitor; metric: MetricInfo }) {
  const history = useRequest(
    (signal) => {
      const end = serverNow();
      const span = { from: new Date(end - DAY_MS).toISOString(), to: new Date(end).toISOString() };
      return api.history(monitor.id, [metric.name], { points: 60, ...span }, signal);
    },
    [monitor.id, metric.name],
  );
  const last = history.data.value?.[0]?.series.flatMap(({ points }) => points.at(-1)?.[1] ?? []);
  if (!last || last.length === 0) return null;
  return <Kpi label={metric.title}>{valueText(Math.min(...last), metric.unit)}</Kpi>;
}

function NextCheck({ time }: { time: string | null }) {
  if (!time) return <>none planned</>;
  if (Date.parse(time) <= now.value) return <>next one is due</>;
  return (
    <>
      next <Ago time={time} />
    </>
  );
}

function downText({ down_seconds, incidents, uptime_ratio }: UptimeWindow): string {
  if (uptime_ratio === null) return 'no data yet';
  if (down_seconds <= 0) return 'no downtime';
  return `down ${lasting(Math.ceil(down_seconds))}, ${incidents} ${incidents === 1 ? 'time' : 'times'}`;
}
