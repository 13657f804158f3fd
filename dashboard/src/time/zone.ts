import { computed, signal } from '@preact/signals';
import { stored } from '../prefs/stored.ts';

/** The zone the instance was set to; UTC until the server has said otherwise. */
export const instanceZone = signal('UTC');

/** `instance`, `browser`, or the IANA name this user chose. */
export const zoneChoice = stored(
  'zone',
  'instance',
  (text): text is string => text === 'instance' || text === 'browser' || isZone(text),
);

export const zone = computed(() => resolveZone(zoneChoice.value, instanceZone.value, browserZone()));

export function resolveZone(choice: string, instance: string, browser: string): string {
  if (choice === 'browser') return browser;
  const wanted = choice === 'instance' ? instance : choice;
  return isZone(wanted) ? wanted : 'UTC';
}

export function browserZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
}

export function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return name !== '';
  } catch {
    return false;
  }
}

/** Every zone this browser knows, for the chooser. */
export function knownZones(): string[] {
  const zones = Intl.supportedValuesOf('timeZone');
  return zones.includes('UTC') ? zones : ['UTC', ...zones];
}

const OFFSET_NAME = /^(?:GMT|UTC)[+\-\u2212]\d/;
const NAMING_LOCALES = ['en-US', 'en-GB', 'en-IN', 'en-AU', 'en-CA', 'en-ZA', 'en-NZ'];

const labels = new Map<string, string>();

/**
 * The short name of a zone at a moment, such as `IST`, `BST` or `UTC+05:45`. English locales each know the
 * abbreviations of their own region only, so several are asked before falling back to the offset.
 */
export function zoneLabel(zoneName: string, at: Date): string {
  const offset = offsetMinutes(zoneName, at);
  const key = `${zoneName} ${offset}`;
  let label = labels.get(key);
  if (label === undefined) {
    label = abbreviation(zoneName, at) ?? offsetLabel(offset);
    labels.set(key, label);
  }
  return label;
}

function abbreviation(zoneName: string, at: Date): string | null {
  for (const locale of NAMING_LOCALES) {
    const name = part(locale, { timeZone: zoneName, timeZoneName: 'short' }, at);
    if (name && !OFFSET_NAME.test(name)) return name;
  }
  return null;
}

function part(locale: string, options: Intl.DateTimeFormatOptions, at: Date): string | undefined {
  const parts = new Intl.DateTimeFormat(locale, options).formatToParts(at);
  return parts.find((candidate) => candidate.type === 'timeZoneName')?.value;
}

export function offsetLabel(minutes: number): string {
  if (minutes === 0) return 'UTC';
  const size = Math.abs(minutes);
  const two = (value: number) => String(value).padStart(2, '0');
  return `UTC${minutes < 0 ? '\u2212' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

const wallClocks = new Map<string, Intl.DateTimeFormat>();

function wallClock(zoneName: string): Intl.DateTimeFormat {
  let format = wallClocks.get(zoneName);
  if (!format) {
    format = new Intl.DateTimeFormat('en-CA', {
      timeZone: zoneName,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    });
    wallClocks.set(zoneName, format);
  }
  return format;
}

export interface Wall {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

/** What a clock on the wall of the zone shows. */
export function wallTime(zoneName: string, at: Date): Wall {
  const shifted = new Date(at.getTime() + offsetMinutes(zoneName, at) * 60_000);
  return {
    year: shifted.getUTCFullYear(),
    month: shifted.getUTCMonth() + 1,
    day: shifted.getUTCDate(),
    hour: shifted.getUTCHours(),
    minute: shifted.getUTCMinutes(),
    second: shifted.getUTCSeconds(),
  };
}

/** Clocks are changed at quarters of an hour only, so an offset holds until the next one. */
const QUARTER_MS = 900_000;
const MOST_OFFSETS = 5000;
const offsets = new Map<string, number>();

/** Minutes that the zone is ahead of UTC. Asking the browser is slow, so answers are kept. */
export function offsetMinutes(zoneName: string, at: Date): number {
  const quarter = Math.floor(at.getTime() / QUARTER_MS);
  const key = `${zoneName} ${quarter}`;
  let offset = offsets.get(key);
  if (offset === undefined) {
    if (offsets.size >= MOST_OFFSETS) offsets.clear();
    offset = askOffset(zoneName, quarter * QUARTER_MS);
    offsets.set(key, offset);
  }
  return offset;
}

function askOffset(zoneName: string, moment: number): number {
  if (Number.isNaN(moment)) return 0;
  const fields = new Map(
    wallClock(zoneName)
      .formatToParts(moment)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const field = (name: Intl.DateTimeFormatPartTypes) => fields.get(name) ?? 0;
  const wall = Date.UTC(
    field('year'),
    field('month') - 1,
    field('day'),
    field('hour'),
    field('minute'),
    field('second'),
  );
  return Math.round((wall - moment) / 60_000);
}

/**
 * The moment at which a clock in the zone shows `YYYY-MM-DDTHH:MM[:SS]`. An hour that a clock skips in spring is
 * read as the moment after the jump; one that it shows twice in autumn is read as the first.
 */
export function fromWallText(zoneName: string, text: string): Date | null {
  const match = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})(?::(\d{2}))?$/.exec(text);
  if (!match) return null;
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = match
    .slice(1)
    .map((digits) => Number(digits ?? 0));
  const asUtc = Date.UTC(year, month - 1, day, hour, minute, second);
  const dayMs = 86_400_000;
  const around = [
    offsetMinutes(zoneName, new Date(asUtc - dayMs)),
    offsetMinutes(zoneName, new Date(asUtc + dayMs)),
  ];
  const candidates = around
    .map((offset) => asUtc - offset * 60_000)
    .filter((moment, index) => offsetMinutes(zoneName, new Date(moment)) === around[index]);
  const first = candidates.length > 0 ? Math.min(...candidates) : asUtc - (around[0] ?? 0) * 60_000;
  return Number.isNaN(first) ? null : new Date(first);
}

/** The value of a `datetime-local` input for a moment. */
export function toWallText(zoneName: string, at: Date): string {
  const wall = wallTime(zoneName, at);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${wall.year}-${two(wall.month)}-${two(wall.day)}T${two(wall.hour)}:${two(wall.minute)}`;
}
