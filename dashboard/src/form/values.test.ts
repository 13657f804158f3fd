import { describe, expect, it } from 'vitest';
import type { JsonObject, Plugin } from '../api/types.ts';
import { nameFromAddress, withScheme } from './address.ts';
import { toDefinition } from './definition.ts';
import { MASK } from './field.ts';
import { enclosing, messagesOf, nearestField } from './problems.ts';
import { compileSchema } from './schema.ts';
import { thresholdErrors } from './thresholds.ts';
import { validate } from './validate.ts';
import { blank, output } from './values.ts';

const SCHEMA = {
  type: 'object',
  required: ['url'],
  properties: {
    url: { type: 'string', format: 'uri', examples: ['https://example.com/'] },
    method: { type: 'string', enum: ['GET', 'HEAD'], default: 'GET' },
    wait: { type: 'string', 'x-wise': 'duration', default: '60s' },
    limit: { type: 'integer', minimum: 0, maximum: 50, default: 10 },
    note: { type: ['string', 'null'], default: null },
    token: { anyOf: [{ 'x-wise': 'secret' }, { type: 'null' }], default: null },
    codes: { type: 'array', items: { type: 'integer', minimum: 100 }, default: [200] },
    tls: {
      type: 'object',
      default: { verify: true, ca: null },
      properties: {
        verify: { type: 'boolean', default: true },
        ca: { type: ['string', 'null'], default: null },
      },
    },
    auth: {
      anyOf: [
        {
          oneOf: [
            {
              type: 'object',
              required: ['type', 'username', 'password'],
              properties: {
                type: { const: 'basic' },
                username: { type: 'string' },
                password: { 'x-wise': 'secret' },
              },
            },
            {
              type: 'object',
              required: ['type', 'token'],
              properties: { type: { const: 'bearer' }, token: { 'x-wise': 'secret' } },
            },
          ],
        },
        { type: 'null' },
      ],
      default: null,
    },
  },
};

const form = compileSchema(SCHEMA);
const sent = (draft: JsonObject) => output(form, draft, true);

describe('what is sent', () => {
  it('is only what was set', () => {
    expect(sent({ url: 'https://a.example/' })).toEqual({ url: 'https://a.example/' });
  });

  it('leaves out what equals the default, in whatever way it is written', () => {
    const draft = {
      url: 'x',
      method: 'GET',
      wait: '1m',
      limit: '10',
      note: '',
      codes: [200],
      tls: { verify: true, ca: '' },
      auth: null,
    };
    expect(sent(draft)).toEqual({ url: 'x' });
  });

  it('holds every change, down to one field of a group', () => {
    const draft = {
      url: 'x',
      method: 'HEAD',
      wait: '61s',
      limit: '0',
      note: 'hi',
      codes: [],
      tls: { verify: false, ca: null },
    };
    expect(sent(draft)).toEqual({
      url: 'x',
      method: 'HEAD',
      wait: '61s',
      limit: 0,
      note: 'hi',
      codes: [],
      tls: { verify: false },
    });
  });

  it('keeps the mask of a secret that was not touched, and a reference as it is', () => {
    expect(sent({ url: 'x', token: MASK })).toEqual({ url: 'x', token: MASK });
    expect(sent({ url: 'x', token: { env: 'TOKEN' } })).toEqual({ url: 'x', token: { env: 'TOKEN' } });
    expect(sent({ url: 'x', token: null })).toEqual({ url: 'x' });
  });

  it('drops from a union what belongs to another of its shapes', () => {
    const auth = { type: 'bearer', token: 't', username: 'left over' };
    expect(sent({ url: 'x', auth })).toEqual({ url: 'x', auth: { type: 'bearer', token: 't' } });
  });

  it('passes on text where a number belongs, for the server to judge', () => {
    expect(sent({ url: 'x', limit: 'many' })).toEqual({ url: 'x', limit: 'many' });
  });
});

describe('validation', () => {
  const errors = (draft: JsonObject) => Object.fromEntries(validate(form.properties, draft, 'settings'));

  it('wants what is needed, with an example', () => {
    expect(errors({})).toEqual({ 'settings.url': 'Needed, for example https://example.com/' });
  });

  it('knows addresses, durations and numbers', () => {
    expect(errors({ url: 'example', wait: 'soon', limit: '51', codes: [200, 'x', 99] })).toEqual({
      'settings.url': 'Write the whole address, for example https://example.com/',
      'settings.wait': 'Write a number with a unit, such as 500ms, 30s, 5m or 1h30m',
      'settings.limit': 'Use a number from 0 to 50',
      'settings.codes[1]': 'Write a number',
      'settings.codes[2]': 'Use 100 or more',
    });
    expect(errors({ url: 'https://a.example/', limit: '1.5' })).toEqual({
      'settings.limit': 'Write a whole number',
    });
  });

  it('looks only into the shape that was chosen', () => {
    expect(errors({ url: 'https://a.example/', auth: { type: 'basic' } })).toEqual({
      'settings.auth.username': 'Needed',
      'settings.auth.password': 'Needed',
    });
    expect(errors({ url: 'https://a.example/', auth: { type: 'bearer', token: { env: '' } } })).toEqual({
      'settings.auth.token': 'Name the environment variable',
    });
  });

  it('counts the mask as an answer', () => {
    expect(errors({ url: 'https://a.example/', auth: { type: 'bearer', token: MASK } })).toEqual({});
  });
});

describe('a definition', () => {
  const plugin: Plugin = {
    kind: 'website',
    title: 'Website',
    summary: '',
    category: 'web',
    schema: SCHEMA,
    example: {},
    probes: [{ name: 'availability', title: 'Availability', interval: '60s', timeout: '10s' }],
    metrics: [],
    error_classes: [],
    headline: '',
  };

  it('has a name, a kind and settings, and of the rest what was changed', () => {
    const draft = {
      name: 'shop',
      interval: '1m',
      timeout: '10s',
      retry_interval: null,
      failures_before_unhealthy: 2,
      failure_window: '',
      successes_before_healthy: '3',
      enabled: true,
      tags: {},
      depends_on: [],
      thresholds: {},
      probes: {},
      settings: { url: 'https://a.example/' },
    };
    expect(toDefinition(plugin, draft)).toEqual({
      name: 'shop',
      kind: 'website',
      settings: { url: 'https://a.example/' },
      successes_before_healthy: 3,
    });
  });

  it('takes an interval shorter than ten seconds for the usual timeout', () => {
    const draft = { name: 'a', interval: '5s', timeout: '5s', settings: { url: 'x' } };
    expect(toDefinition(plugin, draft)).toMatchObject({ interval: '5s' });
    expect(toDefinition(plugin, draft)).not.toHaveProperty('timeout');
  });

  it('sends thresholds as numbers, and a bound that is off as null', () => {
    const thresholds = { 'website.total_seconds': { warning: '1.50', critical: null, checks: 2 } };
    expect(toDefinition(plugin, { name: 'a', settings: { url: 'x' }, thresholds })['thresholds']).toEqual({
      'website.total_seconds': { warning: 1.5, critical: null, checks: 2 },
    });
    expect([...thresholdErrors({ m: { warning: '1.', critical: 'much' } })]).toEqual([
      ['thresholds.m.critical', 'Write a number'],
    ]);
  });
});

describe('problems of the server', () => {
  it('become sentences by path', () => {
    const messages = messagesOf([
      { field: 'interval', value: '100ms', reason: 'shorter than 1s', hint: 'use a duration from 1s to 24h' },
      { field: 'settings.url', reason: 'missing' },
      { field: 'settings.url', reason: 'no address' },
    ]);
    expect(Object.fromEntries(messages)).toEqual({
      interval: 'Shorter than 1s: use a duration from 1s to 24h',
      'settings.url': 'Missing. No address',
    });
  });

  it('find the nearest field there is', () => {
    expect(enclosing('settings.assertions[0].op')).toEqual([
      'settings.assertions[0].op',
      'settings.assertions[0]',
      'settings.assertions',
      'settings',
    ]);
    const known = new Set(['settings.assertions', 'interval']);
    expect(nearestField('settings.assertions[0].op', (path) => known.has(path))).toBe('settings.assertions');
    expect(nearestField('nowhere', (path) => known.has(path))).toBeNull();
  });
});

it('starts a new element with its first shape and the choices it needs', () => {
  const item = compileSchema({
    type: 'object',
    properties: {
      list: {
        type: 'array',
        items: {
          oneOf: [
            {
              type: 'object',
              required: ['on', 'op'],
              properties: {
                on: { const: 'body' },
                op: { enum: ['contains', 'equals'] },
                value: { type: 'string' },
              },
            },
          ],
        },
      },
    },
  }).properties[0]?.field;
  expect(item?.type === 'list' && blank(item.item)).toEqual({ on: 'body', op: 'contains' });
});

describe('addresses', () => {
  it.each([
    ['https://www.shop.example/', 'shop.example'],
    ['http://shop.example:8080/health/', 'shop.example:8080/health'],
    ['nonsense', null],
  ])('%s is named %s', (address, name) => {
    expect(nameFromAddress(address)).toBe(name);
  });

  it.each([
    ['shop.example/a', 'https://shop.example/a'],
    ['http://localhost:3000', 'http://localhost:3000'],
    ['localhost:3000', 'https://localhost:3000'],
    ['ftp://shop.example', null],
    ['shop', null],
    ['', null],
  ])('%s means %s', (text, address) => {
    expect(withScheme(text)).toBe(address);
  });
});
