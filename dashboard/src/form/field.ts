import type { Json } from '../api/types.ts';

/** What a form knows about one value. Compiled from a JSON Schema, free of references and of its many spellings. */
export type Field =
  | TextField
  | NumberField
  | BooleanField
  | ChoiceField
  | SecretField
  | ListField
  | GroupField
  | MapField
  | UnionField
  | JsonField;

interface Common {
  title: string;
  description: string | null;
  /** Whether null, or nothing at all, is an answer. */
  nullable: boolean;
  /** What the server takes when nothing is sent; undefined when it has no default. */
  default: Json | undefined;
}

export interface TextField extends Common {
  type: 'text';
  format: 'plain' | 'uri' | 'duration';
  multiline: boolean;
  minLength: number | null;
  maxLength: number | null;
  pattern: string | null;
  example: string | null;
}

export interface NumberField extends Common {
  type: 'number';
  integer: boolean;
  min: number | null;
  max: number | null;
}

export interface BooleanField extends Common {
  type: 'boolean';
}

export interface Choice {
  value: string | number | boolean;
  title: string;
  description: string | null;
}

export interface ChoiceField extends Common {
  type: 'choice';
  choices: Choice[];
}

/** Text that is never read back, or the name of the place it comes from. */
export interface SecretField extends Common {
  type: 'secret';
  multiline: boolean;
}

export interface ListField extends Common {
  type: 'list';
  item: Field;
  minItems: number;
}

export interface Property {
  name: string;
  required: boolean;
  /** The section of the form it belongs to; null is the first one. */
  section: string | null;
  field: Field;
}

export interface GroupField extends Common {
  type: 'group';
  properties: Property[];
}

export interface MapField extends Common {
  type: 'map';
  value: Field;
  headers: boolean;
}

export interface Variant {
  tag: string;
  title: string;
  description: string | null;
  properties: Property[];
}

/** An object of one of several shapes, told apart by the constant in its tag. */
export interface UnionField extends Common {
  type: 'union';
  tag: string;
  variants: Variant[];
}

/** Anything: written as JSON, or as plain text when it is none. */
export interface JsonField extends Common {
  type: 'json';
}

/** A value while it is edited; a number that cannot be read yet is still text, and undefined is not set. */
export type Draft = Json | undefined;

/** What a read secret looks like, and what leaves it unchanged when it is sent back. */
export const MASK = '********';

export type Path = string;

export function join(path: Path, key: string | number): Path {
  if (typeof key === 'number') return `${path}[${key}]`;
  return path === '' ? key : `${path}.${key}`;
}
