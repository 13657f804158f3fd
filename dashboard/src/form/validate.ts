import { parseDuration } from '../time/duration.ts';
import { type Draft, type Field, join, type Path, type Property } from './field.ts';
import { isObject, shownValue } from './values.ts';

export type Errors = ReadonlyMap<Path, string>;

/** What a form can know to be wrong without asking the server, by path. */
export function validate(properties: readonly Property[], value: Draft, path: Path): Map<Path, string> {
  const errors = new Map<Path, string>();
  object(properties, value, path, errors);
  return errors;
}

function object(properties: readonly Property[], value: Draft, path: Path, errors: Map<Path, string>): void {
  const held = isObject(value) ? value : {};
  for (const { name, field, required } of properties)
    check(field, held[name], required, join(path, name), errors);
}

function check(field: Field, given: Draft, required: boolean, path: Path, errors: Map<Path, string>): void {
  const value = shownValue(field, given);
  if (value === undefined || value === null || value === '') {
    if (required && !(value === null && field.nullable)) errors.set(path, missing(field));
    return;
  }
  switch (field.type) {
    case 'text': {
      const wrong = typeof value === 'string' ? textError(field, value) : null;
      if (wrong) errors.set(path, wrong);
      break;
    }
    case 'number': {
      const wrong = numberError(field, value);
      if (wrong) errors.set(path, wrong);
      break;
    }
    case 'secret':
      if (isObject(value)) {
        const [kind, place] = Object.entries(value)[0] ?? [];
        if (place === '')
          errors.set(path, kind === 'env' ? 'Name the environment variable' : 'Name the file');
      }
      break;
    case 'list':
      if (!Array.isArray(value)) break;
      if (value.length < field.minItems) errors.set(path, `At least ${field.minItems} needed`);
      value.forEach((item, index) => {
        check(field.item, item, true, join(path, index), errors);
      });
      break;
    case 'group':
      object(field.properties, value, path, errors);
      break;
    case 'map':
      if (isObject(value)) {
        for (const [key, held] of Object.entries(value))
          check(field.value, held, false, join(path, key), errors);
      }
      break;
    case 'union': {
      const variant = isObject(value)
        ? field.variants.find(({ tag }) => tag === value[field.tag])
        : undefined;
      if (variant) object(variant.properties, value, path, errors);
      break;
    }
    default:
      break;
  }
}

function missing(field: Field): string {
  return field.type === 'text' && field.example ? `Needed, for example ${field.example}` : 'Needed';
}

function textError(field: Field & { type: 'text' }, value: string): string | null {
  const { format, minLength, maxLength, pattern } = field;
  if (format === 'duration' && parseDuration(value) === null) {
    return 'Write a number with a unit, such as 500ms, 30s, 5m or 1h30m';
  }
  if (format === 'uri' && !URL.canParse(value)) {
    return `Write the whole address${field.example ? `, for example ${field.example}` : ''}`;
  }
  if (minLength !== null && value.length < minLength) return `At least ${minLength} characters`;
  if (maxLength !== null && value.length > maxLength) return `At most ${maxLength} characters`;
  if (pattern !== null && !matches(pattern, value)) return `Has to match ${pattern}`;
  return null;
}

function numberError(field: Field & { type: 'number' }, value: Draft): string | null {
  const number = typeof value === 'string' ? Number(value.trim()) : value;
  if (typeof number !== 'number' || Number.isNaN(number)) return 'Write a number';
  if (field.integer && !Number.isInteger(number)) return 'Write a whole number';
  const { min, max } = field;
  if ((min !== null && number < min) || (max !== null && number > max)) {
    if (min !== null && max !== null) return `Use a number from ${min} to ${max}`;
    return min !== null ? `Use ${min} or more` : `Use ${max} or less`;
  }
  return null;
}

/** A pattern this browser cannot compile is left to the server. */
function matches(pattern: string, value: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(value);
  } catch {
    return true;
  }
}
