import type { Json, JsonObject } from '../../api/types.ts';
import { millisecondsText, significant, valueText } from '../../units/format.ts';
import { titleOf } from '../../units/words.ts';

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function objects(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

export function text(value: Json | undefined): string | null {
  if (value === null || value === undefined) return null;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

const UNIT_SUFFIXES: readonly [suffix: string, show: (value: number) => string][] = [
  ['_ms', millisecondsText],
  ['_seconds', (value) => valueText(value, 'seconds')],
  ['_bytes', (value) => valueText(value, 'bytes')],
];

/** `took_ms: 2.1` reads "Took" and "2.1 ms": the unit moves from the name to the value. */
export function fieldTitle(key: string): string {
  const suffix = UNIT_SUFFIXES.find(([candidate]) => key.endsWith(candidate) && key !== candidate);
  return titleOf(suffix ? key.slice(0, -suffix[0].length) : key);
}

export function fieldText(key: string, value: Json | undefined): string {
  if (value === null || value === undefined) return '–';
  if (typeof value === 'number') {
    const suffix = UNIT_SUFFIXES.find(([candidate]) => key.endsWith(candidate));
    return suffix ? suffix[1](value) : significant(value);
  }
  return text(value) ?? '–';
}

export interface Phase {
  key: string;
  milliseconds: number;
}

/** The phases that took place, in their order, without the total, which is their sum. */
export function phasesOf(value: Json | undefined): Phase[] {
  if (!isObject(value)) return [];
  const phases: Phase[] = [];
  for (const [key, amount] of Object.entries(value)) {
    if (typeof amount !== 'number' || key.startsWith('total')) continue;
    phases.push({ key, milliseconds: key.endsWith('_seconds') ? amount * 1000 : amount });
  }
  return phases;
}

export interface Assertion {
  text: string;
  /** Null when what was read does not tell. */
  passed: boolean | null;
  found: string | null;
}

export function assertionsOf(value: Json | undefined): Assertion[] {
  return objects(value).map((assertion) => {
    const { passed } = assertion;
    return {
      text: text(assertion['assertion']) ?? JSON.stringify(assertion),
      passed: typeof passed === 'boolean' ? passed : null,
      found: text(assertion['found'] ?? assertion['actual']),
    };
  });
}

/** Headers come as pairs, because a name may repeat, or as an object. */
export function headersOf(value: Json | undefined): [name: string, value: string][] {
  if (Array.isArray(value)) {
    return value.flatMap((pair): [string, string][] =>
      Array.isArray(pair) && pair.length === 2 ? [[text(pair[0]) ?? '', text(pair[1]) ?? '']] : [],
    );
  }
  return isObject(value) ? Object.entries(value).map(([name, held]) => [name, text(held) ?? '']) : [];
}

/** The columns of a list of objects, in the order in which they first appear. */
export function columnsOf(rows: readonly JsonObject[]): string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row)))];
}

const KNOWN = new Set([
  'stage',
  'addresses',
  'phases',
  'redirects',
  'certificates',
  'assertions',
  'request',
  'response',
]);

/** What no section of its own exists for. */
export function restOf(evidence: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(evidence).filter(([key, value]) => !KNOWN.has(key) && value !== null),
  );
}
