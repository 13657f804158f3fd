import type { Json, Schema } from '../api/types.ts';
import { titleOf } from '../units/words.ts';
import type { Choice, Field, GroupField, Property, UnionField, Variant } from './field.ts';

const DEEPEST = 12;

type Node = Schema | boolean;

/** Compiles the settings schema of a kind into what a form can show. */
export function compileSchema(root: Schema): GroupField {
  const field = new Compiler(root).compile(root, 'Settings', 0);
  if (field.type === 'group') return field;
  return {
    type: 'group',
    title: field.title,
    description: null,
    nullable: false,
    default: undefined,
    properties: [],
  };
}

class Compiler {
  readonly #root: Schema;

  constructor(root: Schema) {
    this.#root = root;
  }

  compile(given: Node, name: string, depth: number): Field {
    const { schema, nullable } = this.#flatten(given);
    const title = schema.title ?? titleOf(name);
    const common = {
      title,
      description: telling(schema.description, title),
      nullable,
      default: schema.default,
    };
    const types = typesOf(schema);

    if (schema['x-wise'] === 'secret')
      return { ...common, type: 'secret', multiline: schema['x-wise-multiline'] === true };
    if (depth > DEEPEST) return { ...common, type: 'json' };

    const branches = schema.oneOf ?? schema.anyOf;
    if (branches) {
      const choices = this.#choices(branches);
      if (choices) return { ...common, type: 'choice', choices };
      const union = this.#union(branches, depth);
      return union ? { ...common, ...union } : { ...common, type: 'json' };
    }
    if (schema.enum)
      return { ...common, type: 'choice', choices: schema.enum.flatMap((value) => choice(value, null)) };
    if (schema.const !== undefined)
      return { ...common, type: 'choice', choices: choice(schema.const, common.description) };
    if (types.length !== 1) return { ...common, type: 'json' };

    switch (types[0]) {
      case 'string':
        return {
          ...common,
          type: 'text',
          format: schema['x-wise'] === 'duration' ? 'duration' : schema.format === 'uri' ? 'uri' : 'plain',
          multiline: schema['x-wise-multiline'] === true,
          minLength: schema.minLength ?? null,
          maxLength: schema.maxLength ?? null,
          pattern: schema.pattern ?? null,
          example: exampleOf(schema),
        };
      case 'integer':
      case 'number':
        return {
          ...common,
          type: 'number',
          integer: types[0] === 'integer',
          min: schema.minimum ?? null,
          max: schema.maximum ?? null,
        };
      case 'boolean':
        return { ...common, type: 'boolean' };
      case 'array':
        return {
          ...common,
          type: 'list',
          item: this.compile(schema.items ?? {}, singular(common.title), depth + 1),
          minItems: schema.minItems ?? 0,
        };
      case 'object':
        return this.#object(schema, common, depth);
      default:
        return { ...common, type: 'json' };
    }
  }

  #object(schema: Schema, common: Omit<GroupField, 'type' | 'properties'>, depth: number): Field {
    if (schema.properties) return { ...common, type: 'group', properties: this.#properties(schema, depth) };
    const { additionalProperties } = schema;
    if (typeof additionalProperties === 'object') {
      return {
        ...common,
        type: 'map',
        value: this.compile(additionalProperties, 'Value', depth + 1),
        headers: schema['x-wise'] === 'headers',
      };
    }
    return { ...common, type: 'json' };
  }

  #properties(schema: Schema, depth: number, without?: string): Property[] {
    const required = new Set(schema.required);
    return Object.entries(schema.properties ?? {})
      .filter(([name]) => name !== without)
      .map(([name, node]) => ({
        name,
        required: required.has(name),
        section: this.#flatten(node).schema['x-wise-group'] ?? null,
        field: this.compile(node, name, depth + 1),
      }));
  }

  /** Constants and lists of constants side by side, which is how documented and plain variants are written. */
  #choices(branches: readonly Node[]): Choice[] | null {
    const choices: Choice[] = [];
    for (const branch of branches) {
      const { schema } = this.#flatten(branch);
      const values = schema.const === undefined ? schema.enum : [schema.const];
      if (!values || schema.properties) return null;
      for (const value of values) choices.push(...choice(value, schema.description ?? null, schema.title));
    }
    return choices;
  }

  #union(branches: readonly Node[], depth: number): Pick<UnionField, 'type' | 'tag' | 'variants'> | null {
    const shapes = branches.map((branch) => this.#flatten(branch).schema);
    const tag = Object.keys(shapes[0]?.properties ?? {}).find((name) =>
      shapes.every((shape) => typeof this.#constant(shape, name) === 'string'),
    );
    if (tag === undefined) return null;
    const variants = shapes.map((shape): Variant => {
      const value = String(this.#constant(shape, tag));
      return {
        tag: value,
        title: shape.title ?? titleOf(value),
        description: shape.description ?? null,
        properties: this.#properties(shape, depth, tag),
      };
    });
    return { type: 'union', tag, variants };
  }

  #constant(shape: Schema, name: string): Json | undefined {
    const node = shape.properties?.[name];
    if (node === undefined) return undefined;
    const { schema } = this.#flatten(node);
    return schema.const ?? (schema.enum?.length === 1 ? schema.enum[0] : undefined);
  }

  /** Follows references and takes null out of the alternatives. What stands nearer to the field wins. */
  #flatten(given: Node, depth = 0): { schema: Schema; nullable: boolean } {
    if (typeof given === 'boolean') return { schema: {}, nullable: true };
    let schema = given;
    let nullable = false;
    const merge = (inner: Node) => {
      const flat = this.#flatten(inner, depth + 1);
      nullable ||= flat.nullable;
      const { $ref: _, ...outer } = schema;
      schema = { ...flat.schema, ...outer };
    };
    if (depth > DEEPEST) return { schema: {}, nullable: true };
    if (schema.$ref !== undefined) merge(this.#resolve(schema.$ref));
    if (schema.allOf?.length === 1) {
      const [only] = schema.allOf;
      const { allOf: _, ...rest } = schema;
      schema = rest;
      merge(only ?? {});
    }
    for (const key of ['anyOf', 'oneOf'] as const) {
      const branches = schema[key];
      const others = branches?.filter((branch) => branch.type !== 'null');
      if (!branches || !others || others.length === branches.length) continue;
      nullable = true;
      const { [key]: _, ...rest } = schema;
      schema = rest;
      if (others.length === 1) merge(others[0] ?? {});
      else schema = { ...schema, [key]: others };
    }
    if (Array.isArray(schema.type) && schema.type.includes('null')) {
      nullable = true;
      schema = { ...schema, type: schema.type.filter((type) => type !== 'null') };
    }
    if (schema.enum?.includes(null)) {
      nullable = true;
      schema = { ...schema, enum: schema.enum.filter((value) => value !== null) };
    }
    return { schema, nullable };
  }

  #resolve(reference: string): Node {
    const name = /^#\/\$defs\/(.+)$/.exec(reference)?.[1];
    if (reference === '#') return this.#root;
    return (name !== undefined && this.#root.$defs?.[name.replaceAll('~1', '/').replaceAll('~0', '~')]) || {};
  }
}

function typesOf({ type, properties, additionalProperties }: Schema): string[] {
  if (type !== undefined) return Array.isArray(type) ? type : [type];
  return properties || typeof additionalProperties === 'object' ? ['object'] : [];
}

/** A description that only repeats the title says nothing. */
function telling(description: string | undefined, title: string): string | null {
  if (description === undefined) return null;
  return description.replace(/\.$/, '').toLowerCase() === title.toLowerCase() ? null : description;
}

function choice(value: Json, description: string | null, title?: string): Choice[] {
  if (value === null || typeof value === 'object') return [];
  return [{ value, title: title ?? choiceTitle(value), description }];
}

/** `prefer_ipv4` reads "Prefer ipv4"; `GET` and `1.1` stay as they are. */
function choiceTitle(value: string | number | boolean): string {
  const text = String(value);
  return /^[a-z]+(?:_[a-z0-9]+)*$/.test(text) ? titleOf(text) : text;
}

function exampleOf({ examples }: Schema): string | null {
  const [first] = examples ?? [];
  return typeof first === 'string' ? first : null;
}

function singular(title: string): string {
  return title.replace(/s$/, '');
}
