import type { Definition, JsonObject, Monitor, Plugin, Schema } from '../api/types.ts';
import { parseDuration } from '../time/duration.ts';
import type { Draft, GroupField, Property } from './field.ts';
import { compileSchema } from './schema.ts';
import { thresholdOutput } from './thresholds.ts';
import { isObject, output } from './values.ts';

const DEFAULT_TIMEOUT_SECONDS = 10;

const duration = (title: string, description: string, fallback?: string): Schema => ({
  type: fallback === undefined ? ['string', 'null'] : 'string',
  'x-wise': 'duration',
  title,
  description,
  ...(fallback === undefined ? {} : { default: fallback }),
});

const count = (title: string, description: string, fallback: number): Schema => ({
  type: 'integer',
  minimum: 1,
  maximum: 100,
  title,
  description,
  default: fallback,
});

/** The part of a definition that every kind shares, in the same terms as the settings of a kind. */
export function commonSchema(plugin: Plugin, interval: Draft): Schema {
  const availability = plugin.probes.find(({ name }) => name === 'availability') ?? plugin.probes[0];
  const usual = availability?.interval ?? '60s';
  const timeout = defaultTimeout(typeof interval === 'string' ? interval : usual);
  return {
    type: 'object',
    required: ['name'],
    properties: {
      name: {
        type: 'string',
        minLength: 1,
        title: 'Name',
        description: 'How it is called in lists and alerts.',
      },
      interval: {
        ...duration('Check every', 'From 1s to 24h.', usual),
        'x-wise-group': 'Schedule',
      },
      timeout: {
        ...duration('Give up after', 'The deadline of one check.', timeout),
        'x-wise-group': 'Schedule',
      },
      retry_interval: {
        ...duration(
          'Retry after',
          'How soon a failed check is repeated before the monitor counts as down. Empty: as always.',
        ),
        'x-wise-group': 'Schedule',
      },
      failures_before_unhealthy: {
        ...count('Down after failures', 'So many failed checks make it down.', 2),
        'x-wise-group': 'Schedule',
      },
      failure_window: {
        type: ['integer', 'null'],
        minimum: 1,
        maximum: 100,
        title: 'Among the last checks',
        description: 'Count failures among this many checks instead of in a row.',
        'x-wise-group': 'Schedule',
      },
      successes_before_healthy: {
        ...count('Healthy after successes', 'So many passed checks in a row make it healthy again.', 1),
        'x-wise-group': 'Schedule',
      },
      enabled: {
        type: 'boolean',
        default: true,
        title: 'Enabled',
        description: 'Off: it is kept, and not checked.',
        'x-wise-group': 'Schedule',
      },
      tags: {
        type: 'object',
        additionalProperties: { type: 'string' },
        default: {},
        title: 'Tags',
        description: 'Free labels for searching and grouping.',
        'x-wise-group': 'Tags and dependencies',
      },
      ...(plugin.probes.length > 1 ? { probes: probesSchema(plugin) } : {}),
    },
  };
}

function probesSchema(plugin: Plugin): Schema {
  const others = plugin.probes.filter(({ name }) => name !== 'availability');
  return {
    type: 'object',
    default: {},
    title: 'Other probes',
    'x-wise-group': 'Probes',
    properties: Object.fromEntries(
      others.map(({ name, title, interval, timeout }) => [
        name,
        {
          type: 'object',
          default: {},
          title,
          properties: {
            enabled: { type: 'boolean', default: true, title: 'Enabled' },
            interval: duration('Check every', '', interval),
            timeout: duration('Give up after', '', timeout),
          },
        },
      ]),
    ),
  };
}

function defaultTimeout(interval: string): string {
  const seconds = parseDuration(interval);
  return seconds !== null && seconds < DEFAULT_TIMEOUT_SECONDS ? interval : `${DEFAULT_TIMEOUT_SECONDS}s`;
}

/** Every field of a definition: the common ones, and the settings of the kind. */
export function definitionProperties(
  plugin: Plugin,
  draft: JsonObject,
): { common: Property[]; settings: GroupField } {
  return {
    common: compileSchema(commonSchema(plugin, draft['interval'])).properties,
    settings: compileSchema(plugin.schema),
  };
}

/** What is sent for a draft. */
export function toDefinition(plugin: Plugin, draft: JsonObject): Definition {
  const { common, settings } = definitionProperties(plugin, draft);
  const fields: JsonObject = {};
  for (const { name: key, field, required } of common) {
    const value = output(field, draft[key], required);
    if (value !== undefined) fields[key] = value;
  }
  const held = output(settings, draft['settings'] ?? {}, true);
  const { thresholds, depends_on } = draft;
  const { name, ...rest } = fields;
  return {
    name: typeof name === 'string' ? name : '',
    kind: plugin.kind,
    ...rest,
    settings: isObject(held) ? held : {},
    ...(Array.isArray(depends_on) && depends_on.length > 0 ? { depends_on } : {}),
    ...(isObject(thresholds) && Object.keys(thresholds).length > 0
      ? { thresholds: thresholdOutput(thresholds) }
      : {}),
  };
}

const DEFINITION_KEYS = [
  'name',
  'interval',
  'timeout',
  'retry_interval',
  'settings',
  'tags',
  'depends_on',
  'enabled',
  'failures_before_unhealthy',
  'failure_window',
  'successes_before_healthy',
  'probes',
  'thresholds',
] as const;

/** The draft that editing a monitor starts from: its definition, without what the server adds. */
export function toDraft(monitor: Monitor): JsonObject {
  const plain: JsonObject = JSON.parse(JSON.stringify(monitor));
  const draft: JsonObject = {};
  for (const key of DEFINITION_KEYS) {
    const value = plain[key];
    if (value !== undefined) draft[key] = value;
  }
  return draft;
}
