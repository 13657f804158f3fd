import { describe, expect, it } from 'vitest';
import type { Schema } from '../api/types.ts';
import type { Field } from './field.ts';
import { compileSchema } from './schema.ts';

/** In the shapes that the server's schema generator writes. */
const WEBSITE: Schema = {
  type: 'object',
  required: ['url'],
  additionalProperties: false,
  properties: {
    url: {
      type: 'string',
      format: 'uri',
      title: 'URL',
      description: 'Address of the page.',
      examples: ['https://example.com/'],
    },
    method: { $ref: '#/$defs/Method', default: 'GET', title: 'Method', 'x-wise-group': 'Request' },
    headers: {
      type: 'object',
      additionalProperties: { $ref: '#/$defs/Secret' },
      default: {},
      'x-wise': 'headers',
      'x-wise-group': 'Request',
    },
    body: {
      anyOf: [{ $ref: '#/$defs/Secret' }, { type: 'null' }],
      default: null,
      'x-wise-multiline': true,
      'x-wise-group': 'Request',
    },
    auth: { anyOf: [{ $ref: '#/$defs/Auth' }, { type: 'null' }], title: 'Authentication', default: null },
    assertions: { type: 'array', items: { $ref: '#/$defs/Assertion' }, default: [] },
    max_redirects: { type: 'integer', format: 'uint32', minimum: 0, maximum: 50, default: 10 },
    http_version: { allOf: [{ $ref: '#/$defs/HttpVersion' }], default: 'auto' },
    fixed_address: { type: ['string', 'null'], default: null },
    every: { type: 'string', 'x-wise': 'duration', default: '5s' },
    tls: { $ref: '#/$defs/Tls', title: 'TLS', default: { verify: true, ca_file: null } },
  },
  $defs: {
    Method: { type: 'string', enum: ['GET', 'HEAD'] },
    HttpVersion: {
      oneOf: [
        { type: 'string', const: 'auto', description: 'What the server prefers.' },
        { type: 'string', enum: ['1.1', '2'] },
      ],
    },
    Secret: { 'x-wise': 'secret', writeOnly: true, anyOf: [{ type: 'string' }, { type: 'object' }] },
    Tls: {
      type: 'object',
      properties: {
        verify: { type: 'boolean', default: true },
        ca_file: { type: ['string', 'null'], default: null },
      },
    },
    Auth: {
      oneOf: [
        {
          type: 'object',
          description: 'Basic authentication.',
          properties: {
            type: { type: 'string', const: 'basic' },
            username: { type: 'string', title: 'User name', description: 'User name.' },
            password: { $ref: '#/$defs/Secret' },
          },
          required: ['type', 'username', 'password'],
        },
        {
          type: 'object',
          properties: { type: { type: 'string', const: 'bearer' }, token: { $ref: '#/$defs/Secret' } },
          required: ['type', 'token'],
        },
      ],
    },
    Assertion: {
      oneOf: [
        {
          type: 'object',
          properties: { on: { const: 'json' }, path: { type: 'string' }, value: { default: null } },
          required: ['on', 'path'],
        },
      ],
    },
  },
};

const form = compileSchema(WEBSITE);
const property = (name: string) => {
  const found = form.properties.find((candidate) => candidate.name === name);
  if (!found) throw new Error(`no property ${name}`);
  return found;
};
const field = (name: string): Field => property(name).field;

describe('compileSchema', () => {
  it('knows what is required, and in which section', () => {
    expect(property('url')).toMatchObject({ required: true, section: null });
    expect(property('method')).toMatchObject({ required: false, section: 'Request' });
  });

  it('reads addresses and durations', () => {
    expect(field('url')).toMatchObject({
      type: 'text',
      format: 'uri',
      title: 'URL',
      example: 'https://example.com/',
    });
    expect(field('every')).toMatchObject({ type: 'text', format: 'duration', default: '5s', title: 'Every' });
  });

  it('follows references, and lets the field speak for itself', () => {
    expect(field('method')).toMatchObject({ type: 'choice', title: 'Method', default: 'GET' });
    expect(field('http_version')).toMatchObject({ type: 'choice', default: 'auto' });
  });

  it('reads documented and plain variants of an enum alike', () => {
    expect(field('http_version')).toMatchObject({
      choices: [
        { value: 'auto', title: 'Auto', description: 'What the server prefers.' },
        { value: '1.1', title: '1.1', description: null },
        { value: '2', title: '2', description: null },
      ],
    });
  });

  it('takes null for an answer in both spellings', () => {
    expect(field('fixed_address')).toMatchObject({ type: 'text', nullable: true, default: null });
    expect(field('auth')).toMatchObject({ type: 'union', nullable: true });
    expect(field('max_redirects')).toMatchObject({
      type: 'number',
      integer: true,
      min: 0,
      max: 50,
      nullable: false,
    });
  });

  it('makes a tagged union of objects that a constant tells apart', () => {
    const auth = field('auth');
    expect(auth).toMatchObject({
      tag: 'type',
      variants: [{ tag: 'basic', title: 'Basic' }, { tag: 'bearer' }],
    });
    const names = auth.type === 'union' ? auth.variants[0]?.properties.map(({ name }) => name) : [];
    expect(names).toEqual(['username', 'password']);
    const first = auth.type === 'union' ? auth.variants[0]?.properties[0] : undefined;
    expect(first?.field).toMatchObject({ title: 'User name', description: null });
  });

  it('finds secrets, also behind a reference, null and a map', () => {
    expect(field('body')).toMatchObject({ type: 'secret', multiline: true, nullable: true });
    expect(field('headers')).toMatchObject({ type: 'map', headers: true, value: { type: 'secret' } });
  });

  it('makes a group of an object and a list of an array', () => {
    expect(field('tls')).toMatchObject({
      type: 'group',
      title: 'TLS',
      properties: [{ name: 'verify' }, { name: 'ca_file' }],
    });
    expect(field('assertions')).toMatchObject({
      type: 'list',
      item: { type: 'union', title: 'Assertion', tag: 'on' },
    });
  });

  it('leaves to JSON what it cannot tell', () => {
    const assertions = field('assertions');
    const item = assertions.type === 'list' && assertions.item.type === 'union' ? assertions.item : null;
    expect(item?.variants[0]?.properties.map(({ field: inner }) => inner.type)).toEqual(['text', 'json']);
    expect(
      compileSchema({
        type: 'object',
        properties: { any: { anyOf: [{ type: 'string' }, { type: 'integer' }] } },
      }).properties[0]?.field.type,
    ).toBe('json');
  });

  it('ends where a schema refers to itself', () => {
    const endless: Schema = {
      type: 'object',
      properties: { child: { $ref: '#/$defs/Node' } },
      $defs: { Node: { type: 'object', properties: { child: { $ref: '#/$defs/Node' } } } },
    };
    expect(compileSchema(endless).properties[0]?.field.type).toBe('group');
  });
});
