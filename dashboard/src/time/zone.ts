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
  const wall: Wall = { year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0 };
  for (const { type, value } of wallClock(zoneName).formatToParts(at)) {
    if (type in wall) wall[type as keyof Wall] = Number(value);
  }
  return wall;
}

export function offsetMinutes(zoneName: string, at: Date): number {
  const wall = wallTime(zoneName, at);
  const asUtc = Date.UTC(wall.year, wall.month - 1, wall.day, wall.hour, wall.minute, wall.second);
  return Math.round((asUtc - Math.floor(at.getTime() / 1000) * 1000) / 60_000);
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
  const offsets = [
    offsetMinutes(zoneName, new Date(asUtc - dayMs)),
    offsetMinutes(zoneName, new Date(asUtc + dayMs)),
  ];
  const candidates = offsets
    .map((offset) => asUtc - offset * 60_000)
    .filter((moment, index) => offsetMinutes(zoneName, new Date(moment)) === offsets[index]);
  const first = candidates.length > 0 ? Math.min(...candidates) : asUtc - (offsets[0] ?? 0) * 60_000;
  return Number.isNaN(first) ? null : new Date(first);
}

/** The value of a `datetime-local` input for a moment. */
export function toWallText(zoneName: string, at: Date): string {
  const wall = wallTime(zoneName, at);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${wall.year}-${two(wall.month)}-${two(wall.day)}T${two(wall.hour)}:${two(wall.minute)}`;
}
