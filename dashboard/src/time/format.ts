import { wallTime, zoneLabel } from './zone.ts';

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

const two = (value: number) => String(value).padStart(2, '0');

/** `21 Nov 2026, 15:42:07 IST` */
export function absolute(at: Date, zone: string): string {
  const wall = wallTime(zone, at);
  return `${day(wall)} ${wall.year}, ${clock(wall)} ${zoneLabel(zone, at)}`;
}

/** `15:42:07 IST` on the day of `now`, otherwise with the date in front. */
export function compact(at: Date, zone: string, now: Date): string {
  const wall = wallTime(zone, at);
  const today = wallTime(zone, now);
  const time = `${clock(wall)} ${zoneLabel(zone, at)}`;
  if (wall.year === today.year && wall.month === today.month && wall.day === today.day) return time;
  return wall.year === today.year ? `${day(wall)}, ${time}` : `${day(wall)} ${wall.year}, ${time}`;
}

/** `15:42`, for axes and ranges that print the zone once beside them. */
export function hourMinute(at: Date, zone: string): string {
  const wall = wallTime(zone, at);
  return `${two(wall.hour)}:${two(wall.minute)}`;
}

/** `21 Nov` */
export function dayMonth(at: Date, zone: string): string {
  return day(wallTime(zone, at));
}

function day(wall: { day: number; month: number }): string {
  return `${wall.day} ${MONTHS[wall.month - 1] ?? ''}`;
}

function clock(wall: { hour: number; minute: number; second: number }): string {
  return `${two(wall.hour)}:${two(wall.minute)}:${two(wall.second)}`;
}

/** `3 s ago`, `12 min ago`, `5 h ago`, `4 d ago`; a moment ahead reads `in 3 s`. */
export function relative(at: Date, now: Date): string {
  const seconds = Math.round((now.getTime() - at.getTime()) / 1000);
  if (seconds === 0) return 'now';
  const text = span(Math.abs(seconds));
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

/** One unit, rounded down, so that it never claims more than has passed. */
export function span(seconds: number): string {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** Two units, for how long a state lasted: `2 h 5 min`, `3 d 4 h`, `45 s`. */
export function lasting(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor((whole % 86_400) / 3600), 'h'],
    [Math.floor((whole % 3600) / 60), 'min'],
    [whole % 60, 's'],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first < 0) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(' ');
}

/** `00:32`, `12:05`, `1:02:03`, for a counter that is watched while it runs. */
export function stopwatch(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const minutes = `${two(Math.floor((whole % 3600) / 60))}:${two(whole % 60)}`;
  return whole < 3600 ? minutes : `${Math.floor(whole / 3600)}:${minutes}`;
}
