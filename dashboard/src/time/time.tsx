import { now } from './clock.ts';
import { absolute, compact, relative } from './format.ts';
import { zone } from './zone.ts';

/** A relative time that keeps itself fresh, with the absolute one in the title and for machines. */
export function Ago({ time }: { time: string | null | undefined }) {
  if (!time) return <span class="dim">never</span>;
  const at = new Date(time);
  const full = absolute(at, zone.value);
  return (
    <time dateTime={time} title={full}>
      {relative(at, new Date(now.value))}
      <span class="sr-only">, {full}</span>
    </time>
  );
}

/** An absolute time with its zone; today's date is left out. */
export function At({ time }: { time: string }) {
  const at = new Date(time);
  return (
    <time dateTime={time} title={absolute(at, zone.value)}>
      {compact(at, zone.value, new Date(now.value))}
    </time>
  );
}
