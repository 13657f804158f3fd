import type { ComponentChildren } from 'preact';
import type { Monitor, UptimeWindow } from '../../api/types.ts';
import { alignBeats } from '../../live/beats.ts';
import { bucketEnd, bucketSeconds, type View } from '../../live/store.ts';
import { lasting } from '../../time/format.ts';
import { Ago } from '../../time/time.tsx';
import { HeartbeatBar } from '../../ui/heartbeat.tsx';
import { rangeText } from '../../ui/heartbeat-path.ts';
import { millisecondsText, uptimeText } from '../../units/format.ts';

interface Props {
  monitor: Monitor;
  view: View | undefined;
  uptime: readonly UptimeWindow[];
}

export function Kpis({ monitor, view, uptime }: Props) {
  const beats = view ? alignBeats(view.entry, bucketEnd.value, bucketSeconds.value).beats : '';
  return (
    <section class="card kpi-card" aria-label="Key figures">
      <dl class="kpis">
        {uptime.map((window) => (
          <Kpi key={window.window} label={`Uptime ${window.window}`} note={downText(window)}>
            {uptimeText(window.uptime_ratio)}
          </Kpi>
        ))}
        <Kpi label="Latency" note={`every ${monitor.interval}`}>
          {millisecondsText(view?.item.latency_ms)}
        </Kpi>
        <Kpi label="Last check" note={<NextCheck time={monitor.next_check} />}>
          <Ago time={view?.item.last_check ?? monitor.last_check} />
        </Kpi>
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

function NextCheck({ time }: { time: string | null }) {
  if (!time) return <>none planned</>;
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
