import type { Json, JsonObject } from '../api/types.ts';
import { sameDuration } from '../time/duration.ts';
import type { Draft, Field, Property } from './field.ts';

/** What is shown for a value that is not set. */
export function shownValue(field: Field, value: Draft): Draft {
  return value === undefined ? field.default : value;
}

/**
 * What is sent for a draft: only what differs from what the server would take anyway, so that a later change of a
 * default reaches everybody who never chose otherwise.
 */
export function output(field: Field, value: Draft, required: boolean): Draft {
  const sent = convert(field, value);
  if (sent === undefined || required) return sent;
  if (sent === null && (field.default === undefined || field.default === null)) return undefined;
  return field.default !== undefined && sameValue(field, sent, field.default) ? undefined : sent;
}

function convert(field: Field, value: Draft): Draft {
  if (value === undefined || value === null) return field.nullable || value === undefined ? value : undefined;
  switch (field.type) {
    case 'text':
    case 'secret':
      return value === '' ? emptyOf(field.nullable) : value;
    case 'number':
      return typeof value === 'string' ? numberOf(value, field.nullable) : value;
    case 'list':
      return Array.isArray(value) ? value.map((item) => convert(field.item, item) ?? null) : undefined;
    case 'group':
      return isObject(value) ? properties(field.properties, value) : undefined;
    case 'map':
      return isObject(value)
        ? Object.fromEntries(
            Object.entries(value).map(([key, held]) => [key, convert(field.value, held) ?? '']),
          )
        : undefined;
    case 'union': {
      if (!isObject(value)) return undefined;
      const variant = field.variants.find(({ tag }) => tag === value[field.tag]);
      return variant && { [field.tag]: variant.tag, ...properties(variant.properties, value) };
    }
    default:
      return value;
  }
}

function properties(list: readonly Property[], value: JsonObject): JsonObject {
  const sent: JsonObject = {};
  for (const { name, field, required } of list) {
    const held = output(field, value[name], required);
    if (held !== undefined) sent[name] = held;
  }
  return sent;
}

function emptyOf(nullable: boolean): Draft {
  return nullable ? null : undefined;
}

function numberOf(text: string, nullable: boolean): Draft {
  const trimmed = text.trim();
  if (trimmed === '') return emptyOf(nullable);
  const number = Number(trimmed);
  // Text that is no number goes to the server as it is, which then says what is wrong with it.
  return Number.isNaN(number) ? trimmed : number;
}

function sameValue(field: Field, left: Json, right: Json): boolean {
  if (
    field.type === 'text' &&
    field.format === 'duration' &&
    typeof left === 'string' &&
    typeof right === 'string'
  ) {
    return sameDuration(left, right);
  }
  // A group was sent without what equals the defaults inside it, so its own default is reduced the same way.
  if (field.type === 'group' || field.type === 'union') return equal(left, convert(field, right) ?? null);
  return equal(left, right);
}

export function equal(left: Draft, right: Draft): boolean {
  if (left === right) return true;
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item, index) => equal(item, right[index]));
  }
  if (!isObject(left) || !isObject(right)) return false;
  const keys = Object.keys(left);
  return keys.length === Object.keys(right).length && keys.every((key) => equal(left[key], right[key]));
}

export function isObject(value: Draft): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A fresh element of a list, or a variant that was just chosen. */
export function blank(field: Field): Json {
  if (field.default !== undefined) return structuredClone(field.default);
  switch (field.type) {
    case 'boolean':
      return false;
    case 'choice':
      return field.nullable ? null : (field.choices[0]?.value ?? null);
    case 'list':
      return [];
    case 'group':
    case 'map':
      return {};
    case 'union': {
      const [first] = field.variants;
      return first ? { [field.tag]: first.tag, ...blankProperties(first.properties) } : {};
    }
    case 'json':
      return null;
    default:
      return '';
  }
}

/** The required choices of a new object, which show their first answer and therefore have to send it. */
export function blankProperties(list: readonly Property[]): JsonObject {
  const value: JsonObject = {};
  for (const { name, field, required } of list) {
    if (required && (field.type === 'choice' || field.type === 'boolean')) value[name] = blank(field);
  }
  return value;
}
