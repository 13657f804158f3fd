import { kindTitle } from '../../api/catalogue.ts';
import { href } from '../../base.ts';
import { alignBeats } from '../../live/beats.ts';
import { bucketEnd, bucketSeconds, views } from '../../live/store.ts';
import type { View } from '../../live/view.ts';
import { paths } from '../../router/router.ts';
import { isProblem, statusWord } from '../../status/status.ts';
import { now } from '../../time/clock.ts';
import { lasting } from '../../time/format.ts';
import { Ago } from '../../time/time.tsx';
import { HeartbeatBar } from '../../ui/heartbeat.tsx';
import { Sparkline } from '../../ui/sparkline.tsx';
import { StatusIcon, toneOf } from '../../ui/status-icon.tsx';
import { millisecondsText, uptimeText } from '../../units/format.ts';
import { troubledDependencies } from './list-model.ts';

interface Props {
  view: View;
  index: number;
  top: number;
  narrow: boolean;
  selected: boolean;
  onSelect: (id: string, on: boolean) => void;
}

export function Row({ view, index, top, narrow, selected, onSelect }: Props) {
  const { item, status, down } = view;
  const { beats, latency } = alignBeats(view.entry, bucketEnd.value, bucketSeconds.value);
  return (
    <tr
      class={`row row-${status}`}
      style={{ transform: `translateY(${top}px)` }}
      aria-rowindex={index + 2}
      aria-selected={selected}
      data-id={item.id}
    >
      <td class="cell-select">
        <input
          type="checkbox"
          aria-label={`Select ${item.name}`}
          checked={selected}
          onChange={(event) => onSelect(item.id, event.currentTarget.checked)}
        />
      </td>
      <td class="cell-status">
        <StatusIcon status={status} />
        {!narrow && (
          <span>
            <span class={`row-status ${toneOf(status)}`}>{statusWord(status, down)}</span>
            <Since view={view} />
          </span>
        )}
      </td>
      <td class="cell-name">
        <a class="row-link" href={href(paths.monitor(item.id))} title={item.name}>
          {item.name}
        </a>
        {narrow && <span class={`row-word ${toneOf(status)}`}>{statusWord(status, down)}</span>}
        <Aside view={view} />
      </td>
      <td class="cell-beats">
        <HeartbeatBar beats={beats} bucketSeconds={bucketSeconds.value} shown={narrow ? 40 : 60} />
      </td>
      <td class="cell-uptime">{uptimeText(item.uptime_24h)}</td>
      <td class="cell-latency">
        {!narrow && <Sparkline values={latency} />}
        <span class="latency-text">{millisecondsText(item.latency_ms)}</span>
      </td>
      <td class="cell-checked dim">
        <Ago time={item.last_check} />
      </td>
    </tr>
  );
}

function Since({ view: { item, stale } }: { view: View }) {
  if (stale || !item.since) return null;
  const seconds = (now.value - Date.parse(item.since)) / 1000;
  return <span class="row-since">for {lasting(seconds)}</span>;
}

/** Why it is not healthy; of a healthy one, what it is. */
function Aside({ view }: { view: View }) {
  const { item, status, stale } = view;
  if (stale) {
    const text = `No check for ${lasting((now.value - (view.entry.lastCheck ?? 0)) / 1000)}, was ${statusWord(item.status, item.down).toLowerCase()}`;
    return (
      <span class="row-aside tone-unknown" title={text}>
        {text}
      </span>
    );
  }
  if (isProblem(status) && item.reason) {
    const culprits = troubledDependencies(view, views.value);
    const text = culprits.length > 0 ? `${item.reason} (affected by ${culprits.join(', ')})` : item.reason;
    return (
      <span class={`row-aside ${toneOf(status)}`} title={text}>
        {text}
      </span>
    );
  }
  return (
    <span class="row-aside dim">
      {kindTitle(item.kind)}
      {Object.entries(item.tags)
        .slice(0, 3)
        .map(([key, value]) => (
          <span key={key} class="tag">
            {key}: {value}
          </span>
        ))}
    </span>
  );
}
