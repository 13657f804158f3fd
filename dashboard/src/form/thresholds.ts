import type { JsonObject } from '../api/types.ts';
import type { Draft, Path } from './field.ts';
import { isObject } from './values.ts';

/** A number as soon as the text is exactly one; what is still being typed, such as `1.`, stays text. */
export function readBound(text: string): number | string | null {
  const trimmed = text.trim();
  if (trimmed === '') return null;
  const number = Number(trimmed);
  return String(number) === trimmed && !Number.isNaN(number) ? number : trimmed;
}

/** Bounds that are no numbers, by path. */
export function thresholdErrors(value: Draft): Map<Path, string> {
  const errors = new Map<Path, string>();
  for (const [metric, bounds] of Object.entries(isObject(value) ? value : {})) {
    if (!isObject(bounds)) continue;
    for (const bound of ['warning', 'critical']) {
      const held = bounds[bound];
      if (typeof held === 'string' && Number.isNaN(Number(held))) {
        errors.set(`thresholds.${metric}.${bound}`, 'Write a number');
      }
    }
  }
  return errors;
}

/** The overrides as they are sent: `1.50` was typed, 1.5 is meant. */
export function thresholdOutput(value: JsonObject): JsonObject {
  const sent: JsonObject = {};
  for (const [metric, bounds] of Object.entries(value)) {
    if (!isObject(bounds)) continue;
    const next: JsonObject = { ...bounds };
    for (const bound of ['warning', 'critical']) {
      const held = next[bound];
      if (typeof held === 'string' && !Number.isNaN(Number(held))) next[bound] = Number(held);
    }
    sent[metric] = next;
  }
  return sent;
}
